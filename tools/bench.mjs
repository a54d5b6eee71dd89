// `npm run bench [-- name [case ...] ...]`: sets up, then runs the benchmarks of bench/ one after the other, never side by side. Words
// behind a benchmark's name that are none themselves go to it and choose its cases.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, setup } from './setup.mjs';

setup();
const folder = join(ROOT, 'dist/bench');
const known = readdirSync(folder)
  .filter((file) => file.endsWith('.bench.js'))
  .map((file) => file.slice(0, -'.bench.js'.length));
const chosen = [];
for (const word of process.argv.slice(2)) {
  if (known.includes(word)) chosen.push({ name: word, cases: [] });
  else if (chosen.length > 0) chosen.at(-1).cases.push(word);
  else {
    console.error(`no benchmark '${word}'; there are: ${known.join(', ')}`);
    process.exit(1);
  }
}
for (const { name, cases } of chosen.length === 0 ? known.map((name) => ({ name, cases: [] })) : chosen) {
  console.log(`\n== ${name}`);
  const { status } = spawnSync(process.execPath, ['--expose-gc', join(folder, `${name}.bench.js`), ...cases], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  if (status !== 0) process.exitCode = 1;
}
