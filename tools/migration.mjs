// `npm run migration -- <name>`: writes the migrations that lead from the models of the newest migration to those of prisma/models,
// for both databases. `--check`: ends with 1 when models and migrations disagree. Needs no network and no database server.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PrismaBetterSqlite3 } from '@prisma/adapter-better-sqlite3';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import * as wasm from '@prisma/schema-engine-wasm/schema_engine_bg';
import { models, PROVIDERS } from './prisma.mjs';

const MIGRATIONS = fileURLToPath(new URL('../prisma/migrations', import.meta.url));
/** The models as the newest migration left them. */
const SNAPSHOT = join(MIGRATIONS, 'models.snapshot.prisma');
/** Every database has it, and the statement asks for a right that a plain owner of tables may lack. */
const CREATE_PUBLIC_SCHEMA = /^-- CreateSchema\nCREATE SCHEMA IF NOT EXISTS "public";\n+/;
const NO_FILTERS = { externalTables: [], externalEnums: [] };

const SchemaEngine = await loadEngine();

const name = process.argv[2];
if (name === '--check') await check();
else if (/^[a-z0-9_]+$/.test(name ?? '')) await author(name);
else fail('usage: npm run migration -- <name in a-z, 0-9, _>');

async function author(name) {
  const old = existsSync(SNAPSHOT) ? readFileSync(SNAPSHOT, 'utf8') : undefined;
  const wanted = models();
  const stamp = new Date().toISOString().replaceAll(/\D/g, '').slice(0, 14);
  const scripts = await Promise.all(
    PROVIDERS.map(async (provider) => ({ provider, sql: await difference(provider, old, wanted) })),
  );
  if (scripts.every(({ sql }) => isEmpty(sql))) fail('the models are those of the newest migration; nothing to write');
  for (const { provider, sql } of scripts) {
    const folder = join(MIGRATIONS, provider, `${stamp}_${name}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'migration.sql'), sql);
    writeFileSync(join(MIGRATIONS, provider, 'migration_lock.toml'), `provider = "${provider}"\n`);
    console.log(`wrote ${folder}/migration.sql`);
  }
  writeFileSync(SNAPSHOT, wanted);
}

async function check() {
  if (!existsSync(SNAPSHOT)) fail('there is no migration yet: run `npm run migration -- <name>`');
  const names = PROVIDERS.map((provider) => migrationsOf(provider).join(' '));
  if (new Set(names).size > 1) fail(`${PROVIDERS.join(' and ')} have different migrations`);
  for (const provider of PROVIDERS) {
    const sql = await difference(provider, readFileSync(SNAPSHOT, 'utf8'), models());
    if (!isEmpty(sql)) fail(`prisma/models changed without a migration: run \`npm run migration -- <name>\`\n${sql}`);
  }
  const sql = await differenceToApplied();
  if (!isEmpty(sql)) fail(`the SQLite migrations do not lead to prisma/models; what is missing:\n${sql}`);
}

async function difference(provider, old, wanted) {
  const to = datamodel(provider, wanted);
  const from = old === undefined ? { tag: 'empty' } : { tag: 'schemaDatamodel', files: [datamodel(provider, old)] };
  const sql = await diff(unconnected(provider), from, to);
  return sql.replace(CREATE_PUBLIC_SCHEMA, '');
}

/** What an empty SQLite file lacks after all migrations. */
async function differenceToApplied() {
  const adapter = await new PrismaBetterSqlite3({ url: ':memory:' }).connect();
  for (const name of migrationsOf('sqlite')) {
    await adapter.executeScript(readFileSync(join(MIGRATIONS, 'sqlite', name, 'migration.sql'), 'utf8'));
  }
  const kept = { ...unconnected('sqlite'), connect: async () => adapter };
  const to = datamodel('sqlite', models());
  const from = { tag: 'schemaDatasource', files: [to], configDir: MIGRATIONS };
  return diff(kept, from, to);
}

async function diff(factory, from, to) {
  const engine = await SchemaEngine.new(
    { datamodels: [[to.path, to.content]] },
    () => {},
    bindMigrationAwareSqlAdapterFactory(factory),
  );
  const { stdout } = await engine.diff({
    from,
    to: { tag: 'schemaDatamodel', files: [to] },
    script: true,
    exitCode: null,
    filters: NO_FILTERS,
  });
  return stdout;
}

async function loadEngine() {
  const file = new URL('schema_engine_bg.wasm', import.meta.resolve('@prisma/schema-engine-wasm/schema_engine_bg'));
  const { instance } = await WebAssembly.instantiate(readFileSync(file), { './schema_engine_bg.js': wasm });
  wasm.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start?.();
  return wasm.SchemaEngine;
}

function datamodel(provider, content) {
  return { path: 'schema.prisma', content: `datasource db {\n  provider = "${provider}"\n}\n\n${content}` };
}

/** An adapter without a database: comparing two schemas asks PostgreSQL for its version and SQLite for nothing. */
function unconnected(provider) {
  const kind = provider === 'postgresql' ? 'postgres' : provider;
  const version = {
    columnNames: ['exists', 'version', 'numeric_version'],
    columnTypes: [5, 7, 0],
    rows: [[true, 'PostgreSQL 15.0', 150000]],
  };
  const adapter = {
    provider: kind,
    adapterName: 'unconnected',
    getConnectionInfo: () => ({ schemaName: kind === 'postgres' ? 'public' : 'main', supportsRelationJoins: false }),
    queryRaw: async ({ sql }) =>
      kind === 'postgres' && /version/.test(sql) ? version : { columnNames: [], columnTypes: [], rows: [] },
    executeRaw: async () => 0,
    executeScript: async () => {},
    startTransaction: async () => {
      throw new Error('an unconnected adapter has no transactions');
    },
    dispose: async () => {},
  };
  const connect = async () => adapter;
  return { provider: kind, adapterName: adapter.adapterName, connect, connectToShadowDb: connect };
}

function migrationsOf(provider) {
  return readdirSync(join(MIGRATIONS, provider), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** The engine answers "no difference" with a comment. */
function isEmpty(sql) {
  return sql.replaceAll(/^\s*--.*$/gm, '').trim() === '';
}

function fail(text) {
  process.stderr.write(`tocsin migration: ${text}\n`);
  process.exit(1);
}
