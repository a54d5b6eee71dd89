import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { hasDebianFile, type RabbitmqServer, startRabbitmq } from '#testing';
import { type ClientCheck, type ClientSuite } from './clients/client-suite.js';
import { CLIENT_SUITES } from './clients/index.js';
import { complaint, isSame } from './compare.js';
import type { Operator } from './operator.js';
import { startOurBroker } from './our-broker.js';
import type { Address } from './peer.js';
import { playAll } from './play-all.js';
import type { Transcript } from './player.js';
import { RabbitmqOperator } from './rabbitmq-operator.js';
import { loadRecord, saveRecord } from './record.js';
import { figuresOf, loadClientFigures, type Report, type SuiteFigures, saveClientFigures } from './report.js';
import { type Dialogue, type Group, loadGroups } from './script.js';

/** `npm run test:conformance` sets it: `record` writes RabbitMQ's side anew, `replay` leaves RabbitMQ alone. */
const MODE = process.env['TOCSIN_CONFORMANCE'];
const ONLY = process.env['TOCSIN_CONFORMANCE_ONLY'] ?? '';
const REPORT = process.env['TOCSIN_CONFORMANCE_REPORT'];

const groups = loadGroups().filter(({ name }) => name.includes(ONLY));
const clientSuites = CLIENT_SUITES.filter(({ name }) => name.includes(ONLY)).map((suite) => ({
  suite,
  isMissing: suite.needs !== undefined && !hasDebianFile(suite.needs.path, suite.needs.packageName),
}));
const records = new Map(groups.map(({ name }) => [name, loadRecord(name)]));
const rabbitmq: RabbitmqServer | undefined =
  MODE === 'replay' ? undefined : await startRabbitmq({ hasManagement: true });

interface Played {
  transcripts: Map<Dialogue, Transcript>;
  /** What went wrong; undefined: nothing. */
  checks: Map<ClientCheck, unknown>;
}

let ours: Played;
let theirs: Played | undefined;

beforeAll(async () => {
  const { address, operator, stop } = await startOurBroker();
  try {
    ours = await playOn(address, operator);
  } finally {
    await stop();
  }
  if (rabbitmq === undefined) return;
  const { hostname, port } = new URL(rabbitmq.url);
  theirs = await playOn({ host: hostname, port: Number(port) }, new RabbitmqOperator(rabbitmq));
  if (MODE === 'record') recordAnew(theirs);
}, 600_000);

afterAll(async () => {
  if (REPORT !== undefined) writeFileSync(REPORT, JSON.stringify(report()));
  await rabbitmq?.stop();
});

for (const group of groups) {
  describe(group.name, () => {
    for (const dialogue of group.dialogues) {
      it(dialogue.title, () => {
        const wrong = wrongWith(dialogue);
        if (wrong !== undefined) throw new Error(wrong);
      });
    }

    (rabbitmq === undefined ? it.skip : it)('RabbitMQ says what is recorded', () => {
      expect(group.dialogues.filter((each) => !isAsRecorded(each)).map(({ title }) => title)).toEqual([]);
    });
  });
}

for (const { suite, isMissing } of clientSuites) {
  (isMissing ? describe.skip : describe)(suite.name, () => {
    for (const check of suite.checks) {
      it(check.title, () => {
        if (ours.checks.get(check) !== undefined) throw ours.checks.get(check);
      });
    }

    (rabbitmq === undefined ? it.skip : it)('RabbitMQ passes too', () => {
      expect(suite.checks.map((check) => theirs!.checks.get(check)).filter((each) => each !== undefined)).toEqual([]);
    });
  });
}

async function playOn(address: Address, operator: Operator): Promise<Played> {
  const transcripts = await playAll(groups, address, operator);
  const checks = new Map<ClientCheck, unknown>();
  const url = `amqp://guest:guest@${address.host}:${address.port}`;
  for (const { suite, isMissing } of clientSuites) {
    if (isMissing) continue;
    for (const check of suite.checks) {
      const outcome = await check.run(url).then(
        () => undefined,
        (error: unknown) => error,
      );
      checks.set(check, outcome);
    }
  }
  return { transcripts, checks };
}

function wrongWith(dialogue: Dialogue): string | undefined {
  const recorded = recordOf(dialogue);
  if (recorded === undefined) return 'not recorded yet: npm run test:conformance -- --record';
  return complaint(dialogue, recorded, ours.transcripts.get(dialogue)!);
}

function isAsRecorded(dialogue: Dialogue): boolean {
  return isSame(recordOf(dialogue) ?? [], theirs!.transcripts.get(dialogue)!);
}

function recordOf(dialogue: Dialogue): Transcript | undefined {
  return records.get(dialogue.group)!.get(dialogue.title);
}

function recordAnew({ transcripts, checks }: Played): void {
  for (const group of groups) {
    const record = new Map(group.dialogues.map((each) => [each.title, transcripts.get(each)!]));
    records.set(group.name, record);
    saveRecord(group, record);
  }
  const fresh = clientSuites
    .filter(({ isMissing }) => !isMissing)
    .map(({ suite }) => [suite.name, figuresOf(suite.checks.map((each) => outcomeOf(checks, each)))]);
  saveClientFigures({ ...loadClientFigures(), ...Object.fromEntries(fresh) });
}

function report(): Report {
  return {
    rabbitmq: theirs === undefined ? 'recorded' : 'asked',
    suites: [...groups.map(dialogueFigures), ...clientSuites.map(({ suite }) => clientFigures(suite))],
  };
}

function dialogueFigures({ name, dialogues }: Group): SuiteFigures {
  const verdicts = dialogues.map((each) => (wrongWith(each) === undefined ? 'passed' : 'failed'));
  const recorded = dialogues.map((each) => {
    if (recordOf(each) === undefined) return 'skipped';
    return theirs === undefined || isAsRecorded(each) ? 'passed' : 'failed';
  });
  return {
    name,
    ours: figuresOf(verdicts),
    declared: dialogues.filter((each, index) => each.differs.length > 0 && verdicts[index] === 'passed').length,
    rabbitmq: figuresOf(recorded),
  };
}

function clientFigures({ name, checks }: ClientSuite): SuiteFigures {
  const nobody = { passed: 0, failed: 0, skipped: checks.length };
  return {
    name,
    ours: figuresOf(checks.map((check) => outcomeOf(ours.checks, check))),
    declared: 0,
    rabbitmq: theirs
      ? figuresOf(checks.map((check) => outcomeOf(theirs!.checks, check)))
      : (loadClientFigures()[name] ?? nobody),
  };
}

function outcomeOf(checks: Map<ClientCheck, unknown>, check: ClientCheck): 'passed' | 'failed' | 'skipped' {
  if (!checks.has(check)) return 'skipped';
  return checks.get(check) === undefined ? 'passed' : 'failed';
}
