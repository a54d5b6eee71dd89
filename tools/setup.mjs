// Makes a fresh clone ready: installs when the lock file changed, generates the database clients, builds when a source changed.
// Plain Node, no dependency. Its output goes to stderr, so that stdout belongs to the program that is started.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

const NODE_MINIMUM = [20, 20];
const INSTALL_STAMP = 'node_modules/.tocsin-install';
const NATIVE_STAMP = 'node_modules/.tocsin-native';
const BUILD_STAMP = 'dist/.tocsin-build';
const BUILD_INPUTS = ['apps', 'libs', 'bench', 'prisma', 'package.json', 'tsconfig.json', 'tsconfig.build.json'];

/** `native: false` leaves out the compiled SQLite driver, which the broker alone does not need. */
export function setup({ native = true } = {}) {
  requireNode();
  install();
  if (native) buildNativeDriver();
  build();
}

function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [needMajor, needMinor] = NODE_MINIMUM;
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return;
  fail(`Node ${process.versions.node} is too old; Tocsin needs ${NODE_MINIMUM.join('.')} or newer`);
}

function install() {
  const wanted = digestOf(['package-lock.json']);
  if (stampIs(INSTALL_STAMP, wanted)) return;
  say('installing packages');
  // Install scripts are left out: the only one needed is the SQLite driver's, below.
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund']);
  setStamp(INSTALL_STAMP, wanted);
}

function buildNativeDriver() {
  const wanted = `${digestOf(['package-lock.json'])} ${process.version} ${process.arch}`;
  if (stampIs(NATIVE_STAMP, wanted)) return;
  say('building the SQLite driver (about a minute where no prebuilt one can be had)');
  run('npm', ['rebuild', 'better-sqlite3', '--no-audit', '--no-fund']);
  setStamp(NATIVE_STAMP, wanted);
}

export function build() {
  const wanted = digestOf(BUILD_INPUTS);
  if (stampIs(BUILD_STAMP, wanted)) return;
  say('generating the database clients');
  run(process.execPath, ['tools/prisma.mjs', 'generate']);
  say('building');
  run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json']);
  setStamp(BUILD_STAMP, wanted);
}

/** Changes whenever a file below is added, removed or written. */
function digestOf(inputs) {
  const hash = createHash('sha256');
  for (const input of inputs) {
    const path = join(ROOT, input);
    if (!existsSync(path)) continue;
    const files = statSync(path).isDirectory() ? filesBelow(path) : [path];
    for (const file of files)
      hash.update(`${relative(ROOT, file)}\0${statSync(file).size}\0`).update(readFileSync(file));
  }
  return hash.digest('hex');
}

function filesBelow(directory) {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('generated') && !entry.name.endsWith('.spec.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function stampIs(stamp, wanted) {
  const path = join(ROOT, stamp);
  return existsSync(path) && readFileSync(path, 'utf8') === wanted;
}

function setStamp(stamp, value) {
  const path = join(ROOT, stamp);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, value);
}

function run(command, parameters) {
  const { status, error } = spawnSync(command, parameters, { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (error !== undefined) fail(`${command} could not be started: ${error.message}`);
  if (status !== 0) fail(`${command} ${parameters.join(' ')} ended with ${status}; see above`);
}

function say(text) {
  process.stderr.write(`tocsin setup: ${text}\n`);
}

function fail(text) {
  say(text);
  process.exit(1);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) setup();
