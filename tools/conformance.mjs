// `npm run test:conformance [-- --record | --replay] [group]`: the dialogues and client checks of test/conformance, a line for
// each suite with RabbitMQ's figures beside ours. `--record` writes RabbitMQ's side anew, `--replay` leaves RabbitMQ alone.
// The last line is the sum of ours: `N passed, N failed, N skipped`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, setup } from './setup.mjs';

setup();
const words = process.argv.slice(2);
const mode = ['record', 'replay'].find((each) => words.includes(`--${each}`));
const [only] = words.filter((word) => !word.startsWith('--'));
const folder = mkdtempSync(join(tmpdir(), 'tocsin-conformance-'));
try {
  const path = join(folder, 'report.json');
  const failed = runSpecs(path);
  const isBad = print(readReport(path));
  process.exitCode = failed || isBad ? 1 : 0;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Returns whether a spec failed; each failure is told on stderr. */
function runSpecs(report) {
  const jest = join(ROOT, 'node_modules/jest/bin/jest.js');
  const flags = [
    '--experimental-vm-modules',
    '--no-warnings',
    jest,
    '--silent',
    '--testTimeout=180000',
    'test/conformance',
  ];
  const env = { ...process.env, TOCSIN_CONFORMANCE_REPORT: report };
  if (mode !== undefined) env.TOCSIN_CONFORMANCE = mode;
  if (only !== undefined) env.TOCSIN_CONFORMANCE_ONLY = only;
  return spawnSync(process.execPath, flags, { cwd: ROOT, env, stdio: ['ignore', 'ignore', 'inherit'] }).status !== 0;
}

function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    console.error(`tocsin conformance: the specs ended without a report: ${error.message}`);
    return { rabbitmq: 'recorded', suites: [] };
  }
}

/** Returns whether anything failed, on either side. */
function print({ rabbitmq, suites }) {
  const source = rabbitmq === 'asked' ? 'asked now, beside its record' : 'from the record: RabbitMQ was not asked';
  console.log(
    `passed / failed / skipped; declared: answered otherwise, as docs/compatibility.md says. RabbitMQ: ${source}.`,
  );
  const width = Math.max(...suites.map(({ name }) => name.length), 10);
  console.log(`${'suite'.padEnd(width)}  ${'Tocsin'.padEnd(18)}  declared  RabbitMQ`);
  for (const { name, ours, declared, rabbitmq: theirs } of suites) {
    console.log(
      `${name.padEnd(width)}  ${figures(ours).padEnd(18)}  ${String(declared).padStart(8)}  ${figures(theirs)}`,
    );
  }
  const total = (key) => suites.reduce((sum, { ours }) => sum + ours[key], 0);
  console.log(`${total('passed')} passed, ${total('failed')} failed, ${total('skipped')} skipped`);
  return suites.length === 0 || suites.some(({ ours, rabbitmq: theirs }) => ours.failed + theirs.failed > 0);
}

function figures({ passed, failed, skipped }) {
  return `${passed} / ${failed} / ${skipped}`;
}
