// `npm run test:recovery [-- path ...]`: the specs of test/recovery, a line of figures for each scenario.
// TOCSIN_KILL_ROUNDS sets how often is killed (20 unless told; 200 nightly), TOCSIN_SEED repeats a run's choices.
// The last line is the sum: `N passed, N failed, N skipped`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, setup } from './setup.mjs';

const COLUMNS = ['rounds', 'confirmed', 'delivered', 'lost', 'duplicated', 'resurrected'];

setup();
const wanted = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'tocsin-recovery-'));
try {
  const counts = runSpecs(wanted.length > 0 ? wanted : ['test/recovery']);
  printTable(readFigures());
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  process.exitCode = counts.failed === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function runSpecs(paths) {
  const outcome = join(folder, 'outcome.json');
  const jest = join(ROOT, 'node_modules/jest/bin/jest.js');
  const flags = ['--runInBand', '--silent', '--testTimeout=180000', '--json', `--outputFile=${outcome}`, ...paths];
  spawnSync(process.execPath, ['--experimental-vm-modules', '--no-warnings', jest, ...flags], {
    cwd: ROOT,
    env: { ...process.env, TOCSIN_RECOVERY_REPORT: join(folder, 'figures') },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites, numPendingTests } = JSON.parse(
      readFileSync(outcome, 'utf8'),
    );
    return { passed: numPassedTests, failed: numFailedTests + numRuntimeErrorTestSuites, skipped: numPendingTests };
  } catch (error) {
    console.error(`tocsin recovery: the specs ended without a report: ${error.message}`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

function readFigures() {
  try {
    const lines = readFileSync(join(folder, 'figures'), 'utf8').trim().split('\n');
    return lines.map((line) => JSON.parse(line));
  } catch (error) {
    if (error.code === 'ENOENT') return []; // no scenario came to its end
    throw error;
  }
}

function printTable(scenarios) {
  const width = Math.max(...scenarios.map(({ scenario }) => scenario.length), 8);
  console.log(`${'scenario'.padEnd(width)}  ${COLUMNS.map((column) => column.padStart(11)).join(' ')}  seed`);
  for (const figures of scenarios) {
    const cells = COLUMNS.map((column) => String(figures[column]).padStart(11));
    console.log(`${figures.scenario.padEnd(width)}  ${cells.join(' ')}  ${figures.seed ?? ''}`);
  }
}
