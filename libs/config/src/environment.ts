import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { ConfigurationError, type ConfigurationProblem } from './configuration-error.js';
import { nearestName } from './nearest.js';
import { parseSecretKey } from './secret-key.js';

/** A variable's value, or what is wrong with it; continues the sentence `<NAME>: ...`. */
type Parsed<Value> = { value: Value } | { problem: string };
type Parse<Value> = (text: string) => Parsed<Value>;

interface Variable<Value> {
  /** As it would be written; `undefined`: `meaning` says what happens when it is unset. */
  default: string | undefined;
  meaning: string;
  parse: Parse<Value>;
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** Every environment variable of every process. The README's table is made from this one. An empty variable counts as unset. */
const VARIABLES = {
  TOCSIN_HOST: withDefault('127.0.0.1', 'address that HTTP, AMQP and management listen on', host),
  TOCSIN_HTTP_PORT: withDefault('8080', 'HTTP port; 0 picks a free one', port),
  TOCSIN_AMQP_PORT: withDefault('5672', 'AMQP port of the embedded broker; 0 picks a free one', port),
  TOCSIN_AMQPS_PORT: withDefault(
    '5671',
    'AMQP over TLS, opened when `tocsin.yaml` names a certificate (`broker.tls`); 0 picks a free one',
    port,
  ),
  TOCSIN_MANAGEMENT_PORT: withDefault('15672', 'management HTTP port of the embedded broker; 0 picks a free one', port),
  TOCSIN_DATA_DIR: withDefault('./data', 'broker log, SQLite file, keys and first-run credentials', path),
  TOCSIN_CONFIG: withDefault('./tocsin.yaml', 'the configuration file; when set, it must exist', path),
  TOCSIN_LOG_LEVEL: withDefault('info', `least level that is logged: ${LOG_LEVELS.join(', ')}`, oneOf(LOG_LEVELS)),
  BROKER_URL: optional(
    'unset: the embedded broker; set: RabbitMQ at `amqp://...`, several nodes separated by commas',
    brokerUrl,
  ),
  BROKER_CA_FILE: optional('PEM file with the authorities that sign the certificate of an `amqps://` broker', path),
  BROKER_CERT_FILE: optional('PEM file with our own certificate, where an `amqps://` broker demands one', path),
  BROKER_KEY_FILE: optional('PEM file with the key of `BROKER_CERT_FILE`', path),
  DATABASE_URL: optional('unset: SQLite in the data folder; set: PostgreSQL at `postgresql://...`', databaseUrl),
  TOCSIN_INGEST_TOKEN: optional('bearer token for the ingest routes; unset: made at the first start', token),
  TOCSIN_ADMIN_PASSWORD: optional('password of user `admin`; unset: made at the first start', nonEmpty),
  TOCSIN_SECRET_KEY: optional(
    'seals secrets and signs ids: 32 bytes as hex or base64, or any text (stretched with scrypt); unset: made at the first start',
    (text) => ({ value: parseSecretKey(text) }),
  ),
} satisfies Record<string, Variable<unknown>>;

type Variables = typeof VARIABLES;
export type VariableName = keyof Variables;
type ValueOf<Name extends VariableName> = Variables[Name] extends Variable<infer Value> ? Value : never;

/** Parsed values; a variable without a default is `undefined` when unset. */
export type Environment = { [Name in VariableName]: ValueOf<Name> };

/** @throws ConfigurationError naming every variable with an unusable value */
export function parseEnvironment(environment: NodeJS.ProcessEnv): { values: Environment; warnings: string[] } {
  const problems: ConfigurationProblem[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, { default: fallback, parse }] of Object.entries(VARIABLES) as [string, Variable<unknown>][]) {
    const text = environment[name] || fallback;
    if (text === undefined) continue;
    const parsed = parse(text);
    if ('problem' in parsed) problems.push({ where: name, message: parsed.problem });
    else values[name] = parsed.value;
  }
  problems.push(...portClashes(values), ...lonelyKey(values));
  if (problems.length > 0) throw new ConfigurationError(problems);
  return { values: values as Environment, warnings: unknownVariables(environment) };
}

/** The README's table, in Markdown, columns padded as the formatter pads them. */
export function environmentTable(): string {
  const rows = Object.entries(VARIABLES).map(([name, { default: fallback, meaning }]) => [
    `\`${name}\``,
    fallback === undefined ? '' : `\`${fallback}\``,
    meaning,
  ]);
  const cells = [['variable', 'default', 'meaning'], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...cells.map((row) => row[column]!.length)));
  const [header, ...body] = cells.map(
    (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`,
  );
  return [header, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...body].join('\n');
}

function unknownVariables(environment: NodeJS.ProcessEnv): string[] {
  const known = Object.keys(VARIABLES);
  return Object.keys(environment)
    .filter((name) => name.startsWith('TOCSIN_') && !known.includes(name))
    .map((name) => {
      const nearest = nearestName(name, known);
      return `environment variable ${name} is unknown and ignored${nearest === undefined ? '' : `; did you mean ${nearest}?`}`;
    });
}

function portClashes(values: Record<string, unknown>): ConfigurationProblem[] {
  const ports = ['TOCSIN_HTTP_PORT', 'TOCSIN_AMQP_PORT', 'TOCSIN_AMQPS_PORT', 'TOCSIN_MANAGEMENT_PORT'];
  return ports.flatMap((name, index) => {
    const other = ports.slice(0, index).find((earlier) => values[earlier] === values[name]);
    const clashes = other !== undefined && values[name] !== undefined && values[name] !== 0;
    return clashes ? [{ where: name, message: `is ${values[name]}, and so is ${other}; choose another port` }] : [];
  });
}

function lonelyKey(values: Record<string, unknown>): ConfigurationProblem[] {
  const names = ['BROKER_CERT_FILE', 'BROKER_KEY_FILE'];
  const missing = names.filter((name) => values[name] === undefined);
  if (missing.length !== 1) return [];
  return [{ where: missing[0]!, message: `is missing; ${names.find((name) => name !== missing[0])} needs it` }];
}

/* ---- values ---- */

function withDefault<Value>(fallback: string, meaning: string, parse: Parse<Value>): Variable<Value> {
  return { default: fallback, meaning, parse };
}

function optional<Value>(meaning: string, parse: Parse<Value>): Variable<Value | undefined> {
  return { default: undefined, meaning, parse };
}

function port(text: string): Parsed<number> {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= 65_535) return { value };
  return { problem: `must be a port from 0 to 65535, not '${text}'` };
}

function host(text: string): Parsed<string> {
  if (isIP(text) > 0 || /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(text)) return { value: text };
  return { problem: `must be an IP address or host name without port, not '${text}'` };
}

function path(text: string): Parsed<string> {
  return { value: resolve(text) };
}

function oneOf<Name extends string>(names: readonly Name[]): Parse<Name> {
  return (text) => {
    const value = names.find((name) => name === text);
    return value === undefined ? { problem: `must be one of ${names.join(', ')}, not '${text}'` } : { value };
  };
}

// A URL may hold a password, so these messages do not repeat it.
function brokerUrl(text: string): Parsed<string> {
  const urls = text.split(',').map((url) => url.trim());
  const isUsable = urls.every((url) => /^amqps?:\/\//.test(url) && URL.canParse(url));
  return isUsable
    ? { value: urls.join(',') }
    : {
        problem:
          'must be amqp:// or amqps:// URLs separated by commas; percent-encode special characters of a password',
      };
}

function databaseUrl(text: string): Parsed<string> {
  const isUsable = /^postgres(ql)?:\/\//.test(text) && URL.canParse(text);
  return isUsable ? { value: text } : { problem: 'must be a postgresql:// URL; leave it unset for SQLite' };
}

function token(text: string): Parsed<string> {
  if (/^[\x21-\x7e]+$/.test(text)) return { value: text };
  return { problem: 'must be printable ASCII without spaces, as it travels in an HTTP header' };
}

function nonEmpty(text: string): Parsed<string> {
  return text.trim() === '' ? { problem: 'must not be blank' } : { value: text };
}
