// `npm run bench [-- name ...]`: sets up, then runs the benchmarks of bench/ one after the other, never side by side.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, setup } from './setup.mjs';

setup();
const folder = join(ROOT, 'dist/bench');
const known = readdirSync(folder)
  .filter((file) => file.endsWith('.bench.js'))
  .map((file) => file.slice(0, -'.bench.js'.length));
const wanted = process.argv.slice(2);
for (const name of wanted) {
  if (known.includes(name)) continue;
  console.error(`no benchmark '${name}'; there are: ${known.join(', ')}`);
  process.exit(1);
}
for (const name of wanted.length === 0 ? known : wanted) {
  console.log(`\n== ${name}`);
  const { status } = spawnSync(process.execPath, ['--expose-gc', join(folder, `${name}.bench.js`)], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  if (status !== 0) process.exitCode = 1;
}
