#!/usr/bin/env node
import { Command } from 'commander';
import { ApiClient, CommandError, connectionFrom } from './api-client.js';
import {
  type DeadLetterFilter,
  discardDeadLetter,
  listDeadLetters,
  replayDeadLetter,
  showNotification,
  showTimeline,
} from './commands.js';

const program = new Command('tocsin')
  .description("the operator's commands")
  .option('--url <url>', 'where the service is (default: http://127.0.0.1:8080)');

program
  .command('notification <id>')
  .description('status and attempts of one notification')
  .action((id: string) => print((api) => showNotification(api, id)));

program
  .command('timeline <fingerprint>')
  .description('what happened to an alert, and why')
  .action((fingerprint: string) => print((api) => showTimeline(api, fingerprint)));

const deadLetters = program.command('dead-letters').description('review what was given up');
deadLetters
  .command('list')
  .option('--channel <channel>')
  .option('--reason <reason>')
  .option('--q <text>', 'part of target, detail or payload')
  .option('--cursor <cursor>', 'the next page')
  .action((filter: DeadLetterFilter) => print((api) => listDeadLetters(api, filter)));
deadLetters
  .command('replay <id>')
  .description('send it again')
  .action((id: string) => print((api) => replayDeadLetter(api, id)));
deadLetters
  .command('discard <id>')
  .description('give it up for good')
  .action((id: string) => print((api) => discardDeadLetter(api, id)));

async function print(ask: (api: ApiClient) => Promise<string>): Promise<void> {
  const { url } = program.opts<{ url?: string }>();
  try {
    console.log(await ask(new ApiClient(connectionFrom(process.env, url))));
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    console.error(`tocsin: ${error.message}`);
    process.exitCode = 1;
  }
}

await program.parseAsync();
