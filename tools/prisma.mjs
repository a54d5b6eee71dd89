// `node tools/prisma.mjs generate`: generates the database clients, one for SQLite and one for PostgreSQL, from the shared models.
// Does nothing when the models are those of the last time. Needs no network.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MODELS = join(ROOT, 'prisma/models');
const GENERATED = join(ROOT, 'libs/persistence/src/generated');
const STAMP = join(GENERATED, '.models');
// A schema has one provider: each gets a folder with its own datasource and a copy of the models.
const SCHEMAS = join(ROOT, 'node_modules/.tocsin-prisma');
const PRISMA = fileURLToPath(new URL('build/index.js', import.meta.resolve('prisma/package.json')));

export const PROVIDERS = ['sqlite', 'postgresql'];

/** The shared models as one text, in the order of their file names. */
export function models() {
  return readdirSync(MODELS)
    .filter((file) => file.endsWith('.prisma'))
    .sort()
    .map((file) => readFileSync(join(MODELS, file), 'utf8'))
    .join('\n');
}

function generate() {
  const wanted = digest();
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted) return;
  rmSync(GENERATED, { recursive: true, force: true });
  for (const provider of PROVIDERS) generateFor(provider);
  writeFileSync(STAMP, wanted);
}

function generateFor(provider) {
  const schema = join(SCHEMAS, provider);
  rmSync(schema, { recursive: true, force: true });
  mkdirSync(schema, { recursive: true });
  cpSync(MODELS, schema, { recursive: true });
  const output = join(GENERATED, provider).replaceAll('\\', '/');
  const datasource = readFileSync(join(ROOT, 'prisma', provider, 'datasource.prisma'), 'utf8');
  writeFileSync(join(schema, 'datasource.prisma'), datasource.replace(/output(\s*)=.*/, `output$1= "${output}"`));
  const { status, stdout, stderr, error } = spawnSync(
    process.execPath,
    [PRISMA, 'generate', '--schema', schema, '--no-hints'],
    { cwd: ROOT, encoding: 'utf8', env: offline(process.env) },
  );
  if (error !== undefined) throw error;
  if (status !== 0) fail(`prisma generate failed for ${provider}:\n${stdout}${stderr}`);
}

/** Prisma's command insists on a schema engine before each command; `generate` never runs it, so any executable will do. */
function offline(environment) {
  return {
    PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
    PRISMA_HIDE_UPDATE_MESSAGE: '1',
    CHECKPOINT_DISABLE: '1',
    ...environment,
  };
}

function digest() {
  const hash = createHash('sha256').update(models());
  for (const provider of PROVIDERS) hash.update(readFileSync(join(ROOT, 'prisma', provider, 'datasource.prisma')));
  return hash.update(readFileSync(new URL(import.meta.resolve('prisma/package.json')))).digest('hex');
}

function fail(text) {
  process.stderr.write(`tocsin prisma: ${text}\n`);
  process.exit(1);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  if (process.argv[2] !== 'generate') fail('usage: node tools/prisma.mjs generate');
  generate();
}
