// `npm run check`: format, lint, types, import rules, dead code, lock file, migrations. All stages run; each failure is shown.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT, setup } from './setup.mjs';

const bin = (path) => join(ROOT, 'node_modules', path);
const STAGES = [
  { name: 'format and lint', command: [bin('@biomejs/biome/bin/biome'), 'check', '--error-on-warnings', '.'] },
  { name: 'types', command: [bin('typescript/bin/tsc'), '--noEmit', '-p', 'tsconfig.json'] },
  { name: 'import rules', command: ['tools/imports.mjs'] },
  { name: 'dead code', command: [bin('knip/bin/knip.js'), '--no-progress'] },
  { name: 'lock file', command: ['tools/lock.mjs'] },
  { name: 'migrations', command: ['tools/migration.mjs', '--check'] },
];

setup();
const failed = STAGES.filter(({ name, command }) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd: ROOT, encoding: 'utf8' });
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name}`);
  if (status !== 0) console.log(`${stdout}${stderr}`);
  return status !== 0;
});
process.exitCode = failed.length === 0 ? 0 : 1;
