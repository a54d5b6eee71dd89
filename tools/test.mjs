// `npm test [-- path ...]`: sets up, runs the specs beside the code, then those of test/ one after the other (they start processes).
// The last line is the sum: `N passed, N failed, N skipped`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT, setup } from './setup.mjs';

const STAGES = [
  { name: 'specs', paths: ['apps', 'libs', 'tools'], parameters: ['--maxWorkers=2'] },
  { name: 'e2e', paths: ['test'], parameters: ['--runInBand', '--testTimeout=180000'] },
];

setup();
const wanted = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };
for (const stage of STAGES) addUp(runStage(stage));
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 ? 0 : 1;

function runStage({ name, paths, parameters }) {
  const selected = wanted.length === 0 ? paths : wanted.filter((path) => paths.some((root) => path.startsWith(root)));
  if (selected.length === 0) return { passed: 0, failed: 0, skipped: 0 };
  const folder = mkdtempSync(join(tmpdir(), 'tocsin-test-'));
  const report = join(folder, 'report.json');
  const jest = join(ROOT, 'node_modules/jest/bin/jest.js');
  const flags = ['--passWithNoTests', '--json', `--outputFile=${report}`, ...parameters, ...selected];
  console.log(`tocsin test: ${name}`);
  spawnSync(process.execPath, ['--experimental-vm-modules', '--no-warnings', jest, ...flags], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    return countsOf(JSON.parse(readFileSync(report, 'utf8')));
  } catch (error) {
    console.error(`tocsin test: ${name} ended without a report: ${error.message}`);
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A file that could not even run counts as one failure. */
function countsOf(report) {
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + report.numRuntimeErrorTestSuites,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

function addUp(counts) {
  for (const key of Object.keys(total)) total[key] += counts[key];
}
