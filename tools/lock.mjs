// The lock file must name every optional platform package, also those the registry at hand lacks: without an entry for each,
// `npm ci` stops with EUSAGE on other machines. `--repair` adds the missing entries (version, optional, os; no integrity).
import { readFileSync, writeFileSync } from 'node:fs';

const LOCK_FILE = new URL('../package-lock.json', import.meta.url);

export function missingEntries(lock) {
  const missing = [];
  for (const [path, entry] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (!/^\d/.test(version)) continue;
      const isLocked = lock.packages[`${path}/node_modules/${name}`] ?? lock.packages[`node_modules/${name}`];
      if (isLocked === undefined) missing.push({ name, version, isDevelopment: entry.dev === true });
    }
  }
  return missing;
}

function repair(lock) {
  const packages = { ...lock.packages };
  for (const { name, version, isDevelopment } of missingEntries(lock)) {
    packages[`node_modules/${name}`] = {
      version,
      ...(isDevelopment && { dev: true }),
      optional: true,
      ...platformOf(name),
    };
  }
  const paths = Object.keys(packages).sort((a, b) => (a < b ? -1 : 1));
  return { ...lock, packages: Object.fromEntries(paths.map((path) => [path, packages[path]])) };
}

const SYSTEMS = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const PROCESSORS = ['arm64', 'x64', 'ia32', 'arm', 'ppc64', 'riscv64', 's390x', 'loong64'];

/** Platform packages end in `-<system>-<processor>[-<abi>]`; npm skips those of other platforms by these fields. */
function platformOf(name) {
  const words = name.split('/').at(-1).split('-');
  const system = SYSTEMS.find((candidate) => words.includes(candidate));
  const processor = PROCESSORS.find((candidate) => words.includes(candidate));
  const libc = words.includes('musl') ? 'musl' : undefined;
  return {
    ...(system && { os: [system] }),
    ...(processor && { cpu: [processor] }),
    ...(libc && { libc: [libc] }),
  };
}

function problems(lock) {
  const found = missingEntries(lock).map(
    ({ name, version }) => `package-lock.json lacks ${name}@${version}; run: npm run lock:repair`,
  );
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (entry.resolved !== undefined) found.push(`package-lock.json names a download address for ${path}; remove it`);
  }
  return found;
}

const lock = JSON.parse(readFileSync(LOCK_FILE, 'utf8'));
if (process.argv.includes('--repair')) {
  writeFileSync(LOCK_FILE, `${JSON.stringify(repair(lock), null, 2)}\n`);
} else {
  const found = problems(lock);
  for (const problem of found) console.error(problem);
  process.exitCode = found.length === 0 ? 0 : 1;
}
