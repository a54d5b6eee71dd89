// The import rules of ARCHITECTURE.md. Each finding names the file, the import and the rule it breaks.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** What each library may import of ours. `testing` may import all of them. */
const LIBRARIES = {
  'amqp-codec': [],
  'segment-log': [],
  broker: ['amqp-codec', 'segment-log'],
  dispatch: [],
  messaging: ['dispatch'],
  senders: ['dispatch'],
  persistence: ['dispatch'],
  config: [],
  telemetry: [],
  testing: [
    'amqp-codec',
    'segment-log',
    'broker',
    'dispatch',
    'messaging',
    'senders',
    'persistence',
    'config',
    'telemetry',
  ],
};

/** Packages with one home, and those that must stay away from a place. */
const HOMES = [
  { package: /^amqplib$/, home: /^libs\/messaging\//, rule: 'libs/messaging alone imports the AMQP client' },
  {
    package: /^(@prisma\/|better-sqlite3$)/,
    home: /^libs\/persistence\//,
    rule: 'libs/persistence alone imports Prisma',
  },
  {
    package: /^(axios|nodemailer)$/,
    home: /^(libs\/senders|apps\/cli)\//,
    rule: 'senders alone (and the cli) talk to the outside',
  },
  { package: /^@nestjs\//, home: /^(apps|libs\/telemetry)\//, rule: 'Nest stays at the edge, in apps' },
];

const isTest = (file) => /\.(spec|contract)\.ts$/.test(file) || /^(test|bench|libs\/testing)\//.test(file);

/** Returns the sentence of the rule that `file` breaks by importing `specifier`, or undefined. */
export function brokenRule(file, specifier) {
  const [area, owner] = file.split('/');
  if (specifier.startsWith('#')) return aliasRule(file, area, owner, specifier.slice(1));
  if (specifier.startsWith('.')) return relativeRule(file, area, owner, specifier);
  if (isTest(file)) return undefined;
  return HOMES.find(({ package: name, home }) => name.test(specifier) && !home.test(file))?.rule;
}

function aliasRule(file, area, owner, library) {
  if (!(library in LIBRARIES)) return `#${library} is no library of this project`;
  if (library === 'testing') return isTest(file) ? undefined : 'libs/testing is imported by tests only';
  if (area !== 'libs') return undefined;
  if (library === owner) return 'inside a library use relative paths, not its own alias';
  if (isTest(file) || LIBRARIES[owner].includes(library)) return undefined;
  return `libs/${owner} may import only [${LIBRARIES[owner].join(', ')}] of our libraries`;
}

function relativeRule(file, area, owner, specifier) {
  const target = relative(process.cwd(), resolve(file, '..', specifier));
  const [targetArea, targetOwner] = target.split('/');
  if (area === 'libs' && targetArea === 'apps') return 'libraries never import apps';
  if (targetArea === 'libs' && !(area === 'libs' && owner === targetOwner)) {
    return 'import a library by its alias, never a file inside it';
  }
  // apps/tocsin composes the modules of the others; nothing else reaches into a neighbour.
  if (area === 'apps' && targetArea === 'apps' && owner !== targetOwner && owner !== 'tocsin') {
    return 'an app imports no other app (apps/tocsin alone composes them)';
  }
  return undefined;
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s[^'"`;]*?from\s*['"]([^'"]+)['"]|(?:^|\n)\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

function importsOf(source) {
  return [...source.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3]);
}

function sources(area) {
  return readdirSync(area, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name) && !entry.parentPath.includes('generated'))
    .map((entry) => join(entry.parentPath, entry.name));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.chdir(fileURLToPath(new URL('..', import.meta.url)));
  for (const file of ['apps', 'libs', 'test', 'bench'].flatMap(sources)) {
    for (const specifier of importsOf(readFileSync(file, 'utf8'))) {
      const rule = brokenRule(file, specifier);
      if (rule === undefined) continue;
      console.error(`${file} imports '${specifier}': ${rule}`);
      process.exitCode = 1;
    }
  }
}
