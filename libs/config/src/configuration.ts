import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { ConfigurationError, type ConfigurationProblem } from './configuration-error.js';
import { suggestion } from './nearest.js';
import { brokerFileSchema, tocsinSchema, type WrittenConfiguration, type WrittenRoute } from './schema.js';
import type { BrokerConfiguration, Configuration, Receiver, RouteSettings } from './settings.js';
import { readYaml, type YamlDocument, type YamlPath } from './yaml-document.js';

/** What this library cannot know: the app hands in the domain's checks. */
export interface ConfigurationChecks {
  /** Problems of one receiver's target, `field` inside the target; `channel` is a field of it too. */
  checkTarget?: (channel: string, target: Record<string, unknown>) => { field: string; message: string }[];
  /** What is wrong with a matcher such as `severity="critical"`; `undefined` when nothing is. */
  checkMatcher?: (matcher: string) => string | undefined;
}

/** Receives what no route was written for: it has no targets, so such alerts are recorded and told to nobody. */
const NO_RECEIVER: Receiver = { name: 'none', targets: [] };

const ROUTE_DEFAULTS = {
  receiver: NO_RECEIVER.name,
  groupBy: [] as string[],
  groupWaitMs: 30_000,
  groupIntervalMs: 300_000,
  repeatIntervalMs: 14_400_000,
};

/**
 * Reads and checks `tocsin.yaml`.
 * @param isOptional an absent file is an empty one (the default path); a file that was asked for by name must exist
 * @throws ConfigurationError with one line for each problem found
 */
export function loadConfiguration(
  file: string,
  isOptional: boolean,
  environment: NodeJS.ProcessEnv,
  checks: ConfigurationChecks = {},
): Configuration {
  const document = readYaml(readText(file, isOptional), file, environment);
  const written = parse(tocsinSchema, document);
  const problems = [...receiverProblems(written, document, checks), ...routeProblems(written, document, checks)];
  if (problems.length > 0) throw new ConfigurationError(problems);
  return toConfiguration(written);
}

/** Reads and checks the section `broker` alone; of the rest only the names of the sections. Otherwise as `loadConfiguration`. */
export function loadBrokerSection(
  file: string,
  isOptional: boolean,
  environment: NodeJS.ProcessEnv,
): BrokerConfiguration {
  const document = readYaml(readText(file, isOptional), file, environment, 'broker');
  return toBroker(parse(brokerFileSchema, document).broker, dirname(file));
}

function parse<Schema extends z.ZodType>(schema: Schema, document: YamlDocument): z.output<Schema> {
  const parsed = schema.safeParse(document.value ?? {});
  if (parsed.success) return parsed.data;
  throw new ConfigurationError(parsed.error.issues.flatMap((issue) => toProblems(issue, document)));
}

function readText(file: string, isOptional: boolean): string {
  if (isOptional && !existsSync(file)) return '';
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : `cannot be read (${cause})`;
    throw new ConfigurationError([{ where: file, message: `${reason}; TOCSIN_CONFIG names the file` }], { cause });
  }
}

/* ---- what the schema found ---- */

function toProblems(issue: z.core.$ZodIssue, document: YamlDocument): ConfigurationProblem[] {
  const path = issue.path as YamlPath;
  if (issue.code !== 'unrecognized_keys') {
    const message = `${describePath(path)} ${describeIssue(issue, valueAt(document, path))}`;
    return [{ where: document.where(path), message }];
  }
  const parent = path.length === 0 ? '' : ` in ${describePath(path)}`;
  return issue.message.split('\n').map((message, index) => ({
    where: document.where([...path, issue.keys[index]!], true),
    message: message.replace(/^unknown key '[^']*'/, `$&${parent}`),
  }));
}

function describePath(path: YamlPath): string {
  if (path.length === 0) return 'the file';
  return path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : `${index > 0 ? '.' : ''}${step}`))
    .join('');
}

function describeIssue(issue: z.core.$ZodIssue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      return value === undefined
        ? `is missing; it must be ${withArticle(issue.expected)}`
        : `must be ${withArticle(issue.expected)}, not ${typeof value === 'number' ? value : withArticle(typeName(value))}`;
    case 'too_small':
      return issue.origin === 'string' ? 'must not be empty' : `must be at least ${issue.minimum}`;
    case 'too_big':
      return issue.origin === 'array' ? issue.message : `must be at most ${issue.maximum}`;
    default:
      return issue.message;
  }
}

const WORDS: Record<string, string> = {
  int: 'a whole number',
  string: 'a text',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  null: 'empty',
};

function withArticle(type: string): string {
  return WORDS[type] ?? `a ${type}`;
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function valueAt(document: YamlDocument, path: YamlPath): unknown {
  return path.reduce<unknown>(
    (value, step) => (typeof value === 'object' && value !== null ? Reflect.get(value, step) : undefined),
    document.value,
  );
}

/* ---- what needs the whole file ---- */

function receiverProblems(
  { receivers }: WrittenConfiguration,
  document: YamlDocument,
  { checkTarget }: ConfigurationChecks,
): ConfigurationProblem[] {
  const problems: ConfigurationProblem[] = [];
  const names = new Set<string>();
  for (const [index, receiver] of receivers.entries()) {
    const path = ['receivers', index];
    if (names.has(receiver.name)) {
      problems.push({
        where: document.where([...path, 'name']),
        message: `receiver '${receiver.name}' is defined twice`,
      });
    }
    names.add(receiver.name);

    for (const [targetIndex, { channel, sendResolved: _, ...target }] of receiver.targets.entries()) {
      const targetPath = [...path, 'targets', targetIndex];
      for (const { field, message } of checkTarget?.(channel, target) ?? []) {
        problems.push({
          where: document.where([...targetPath, ...field.split('.')]),
          message: `${describePath(targetPath)}${field === '' ? '' : `.${field}`} ${message}`,
        });
      }
    }
  }
  return problems;
}

function routeProblems(
  { route, receivers }: WrittenConfiguration,
  document: YamlDocument,
  { checkMatcher }: ConfigurationChecks,
): ConfigurationProblem[] {
  if (!route) {
    if (receivers.length === 0) return [];
    const message = "route is missing: name the receiver that alerts go to, e.g. 'route: { receiver: ops }'";
    return [{ where: document.where(['receivers'], true), message }];
  }

  const names = receivers.map(({ name }) => name);
  const problems: ConfigurationProblem[] = [];
  if (route.receiver === undefined) {
    problems.push({
      where: document.where(['route'], true),
      message: 'route.receiver is missing: the top route catches what no other does',
    });
  }
  if (route.matchers.length > 0) {
    problems.push({
      where: document.where(['route', 'matchers'], true),
      message: 'route.matchers: the top route matches every alert; move them to a child in routes',
    });
  }
  for (const { path, node } of walkRoutes(route, ['route'])) {
    if (node.receiver !== undefined && !names.includes(node.receiver)) {
      const message = `${describePath([...path, 'receiver'])} names no receiver: '${node.receiver}'${suggestion(node.receiver, names)}`;
      problems.push({ where: document.where([...path, 'receiver']), message });
    }
    for (const [index, matcher] of node.matchers.entries()) {
      const problem = checkMatcher?.(matcher);
      if (problem === undefined) continue;
      const matcherPath = [...path, 'matchers', index];
      problems.push({ where: document.where(matcherPath), message: `${describePath(matcherPath)} ${problem}` });
    }
  }
  return problems;
}

function* walkRoutes(node: WrittenRoute, path: YamlPath): Generator<{ path: YamlPath; node: WrittenRoute }> {
  yield { path, node };
  for (const [index, route] of node.routes.entries()) yield* walkRoutes(route, [...path, 'routes', index]);
}

/* ---- as the processes read it ---- */

function toConfiguration(written: WrittenConfiguration): Configuration {
  const { email, dingtalk, webhook, ...later } = written.senders;
  return {
    senders: {
      ...later,
      ...(email && { email: { url: email.url, from: email.from, timeoutMs: email.timeout } }),
      ...(dingtalk && { dingtalk: { baseUrl: dingtalk.baseUrl, timeoutMs: dingtalk.timeout } }),
      ...(webhook && {
        webhook: { timeoutMs: webhook.timeout, allowPrivateAddresses: webhook.allowPrivateAddresses },
      }),
    },
    receivers: written.route ? written.receivers.map(toReceiver) : [NO_RECEIVER],
    route: toRoute(written.route ?? { matchers: [], continue: false, routes: [] }, ROUTE_DEFAULTS),
    inhibitRules: written.inhibitRules,
    resolveTimeoutMs: written.resolveTimeout,
    dispatchLagMax: written.dispatchLagMax,
    worker: written.worker,
    retentionMs: written.retention,
  };
}

/** File names are relative to the folder of `tocsin.yaml`, as with `file:`. */
function toBroker(written: WrittenConfiguration['broker'], folder: string): BrokerConfiguration {
  const { consumerTimeout, diskFreeLimit, heartbeat, maxMessageSize, tls, ...same } = written;
  return {
    ...same,
    consumerTimeoutMs: consumerTimeout,
    diskFreeLimitBytes: diskFreeLimit,
    heartbeatSeconds: heartbeat / 1000,
    maxMessageBytes: maxMessageSize,
    tls: tls && {
      ...tls,
      certfile: resolve(folder, tls.certfile),
      keyfile: resolve(folder, tls.keyfile),
      cacertfile: tls.cacertfile === undefined ? undefined : resolve(folder, tls.cacertfile),
    },
  };
}

function toReceiver({ name, targets }: WrittenConfiguration['receivers'][number]): Receiver {
  return {
    name,
    targets: targets.map(({ channel, sendResolved, ...target }) => ({ channel, sendResolved, target })),
  };
}

/** A child inherits what it does not say, as in Alertmanager; matchers and `continue` are its own. */
function toRoute(written: WrittenRoute, parent: typeof ROUTE_DEFAULTS): RouteSettings {
  const own = {
    receiver: written.receiver ?? parent.receiver,
    groupBy: written.groupBy ?? parent.groupBy,
    groupWaitMs: written.groupWait ?? parent.groupWaitMs,
    groupIntervalMs: written.groupInterval ?? parent.groupIntervalMs,
    repeatIntervalMs: written.repeatInterval ?? parent.repeatIntervalMs,
  };
  return {
    ...own,
    matchers: written.matchers,
    continue: written.continue,
    routes: written.routes.map((route) => toRoute(route, own)),
  };
}
