import { afterAll, beforeAll, describe, it } from '@jest/globals';
import fc from 'fast-check';
import { fuzzing } from '#testing';
import { EngineUnderTest } from '../engine/engine.harness.js';
import { WireFixture } from '../wire.harness.js';
import { OPENING, someCommands } from './channel-commands.harness.js';
import { Dialogue, DialogueModel } from './random-dialogue.harness.js';

const parameters = fuzzing('channel dialogues', 120);
const MS_PER_RUN_MAX = 2_000;

describe('a broker that two clients talk to in any order', () => {
  let engine: EngineUnderTest;
  let runs = 0;

  beforeAll(async () => {
    engine = await EngineUnderTest.open();
  });
  afterAll(() => engine.close());

  it(
    'numbers deliveries, keeps prefetch and order, confirms each publish once, loses nothing, doubles nothing',
    async () => {
      const fixture = new WireFixture({ virtualHosts: engine.engine, durability: engine.engine.durability });
      await fc.assert(
        fc.asyncProperty(someCommands, async (commands) => {
          const model = new DialogueModel(`run ${++runs}`);
          const dialogue = await Dialogue.begin(fixture, OPENING, model);
          await fc.asyncModelRun(() => ({ model, real: dialogue }), commands as never);
          await dialogue.end(model);
        }),
        parameters,
      );
      await fixture.broker.close();
    },
    parameters.numRuns * MS_PER_RUN_MAX,
  );
});
