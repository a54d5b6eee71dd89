// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of tocsin.yaml look like that
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { loadConfiguration } from './configuration.js';
import { ConfigurationError } from './configuration-error.js';

const folder = mkdtempSync(join(tmpdir(), 'tocsin-config-'));
const file = join(folder, 'tocsin.yaml');
afterAll(() => rmSync(folder, { recursive: true }));

const checks = {
  checkTarget: (channel: string, target: Record<string, unknown>) => {
    if (channel !== 'email') return [{ field: 'channel', message: `'${channel}' is unknown; known: email` }];
    return typeof target['to'] === 'string' ? [] : [{ field: 'to', message: 'must be an e-mail address' }];
  },
  checkMatcher: (matcher: string) => (matcher.includes('=') ? undefined : `'${matcher}' is no matcher`),
};

function load(text: string, environment: NodeJS.ProcessEnv = {}) {
  writeFileSync(file, text);
  return loadConfiguration(file, false, environment, checks);
}

function problemsOf(text: string, environment?: NodeJS.ProcessEnv): string[] {
  try {
    load(text, environment);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.message.replaceAll(file, 'tocsin.yaml').split('\n');
    throw error;
  }
  return [];
}

const OPS = 'receivers: [ { name: ops, targets: [ { channel: email, to: ops@example.com } ] } ]\n';

const BAD: [rule: string, text: string, messages: string[]][] = [
  ['an unknown key at the top', 'recievers: []', ["tocsin.yaml:1: unknown key 'recievers'; did you mean 'receivers'?"]],
  [
    'an unknown key inside',
    '\nsenders:\n  email:\n    url: smtp://localhost\n    form: a@example.com\n',
    [
      'tocsin.yaml:3: senders.email.from is missing; it must be a text',
      "tocsin.yaml:5: unknown key 'form' in senders.email; did you mean 'from'?",
    ],
  ],
  [
    'each of several unknown keys',
    'worker:\n  prefech: 1\n  chanels: 1',
    [
      "tocsin.yaml:2: unknown key 'prefech' in worker; did you mean 'prefetch'?",
      "tocsin.yaml:3: unknown key 'chanels' in worker; did you mean 'channels'?",
    ],
  ],
  [
    'a sender nobody knows',
    'senders: { pigeon: {} }',
    ["tocsin.yaml:1: unknown key 'pigeon' in senders; known: dingtalk, email, sms, voice, webhook, wechat, wecom"],
  ],
  [
    'a key near to none',
    `${OPS}route: { receiver: ops, colour: red }`,
    [
      "tocsin.yaml:2: unknown key 'colour' in route; known: continue, groupBy, groupInterval, groupWait, matchers, receiver, repeatInterval, routes",
    ],
  ],
  [
    'an unknown key deep in the tree',
    `${OPS}route:\n  receiver: ops\n  routes:\n    - matchers: [a="b"]\n      recieve: ops\n`,
    ["tocsin.yaml:6: unknown key 'recieve' in route.routes[0]; did you mean 'receiver'?"],
  ],
  ['a wrong type', 'receivers:\n  - name: 3\n', ['tocsin.yaml:2: receivers[0].name must be a text, not 3']],
  ['a scalar for a list', 'receivers: ops', ['tocsin.yaml:1: receivers must be a list, not a text']],
  ['a list for the file', '- a', ['tocsin.yaml:1: the file must be a map, not a list']],
  [
    'a number for a duration',
    'resolveTimeout: 5',
    ["tocsin.yaml:1: resolveTimeout must be a duration such as '30s', '5m' or '1h30m', not 5: did you mean '5s'?"],
  ],
  [
    'a duration without a unit',
    "resolveTimeout: '5'",
    ["tocsin.yaml:1: resolveTimeout must be a duration such as '30s', '5m' or '1h30m'"],
  ],
  [
    'a zero where time must pass',
    `${OPS}route: { receiver: ops, repeatInterval: 0s }`,
    ['tocsin.yaml:2: route.repeatInterval must be longer than 0s'],
  ],
  ['a fraction for a count', 'dispatchLagMax: 1.5', ['tocsin.yaml:1: dispatchLagMax must be a whole number, not 1.5']],
  [
    'a count out of bounds',
    'worker: { channels: 0, prefetch: 5000 }',
    ['tocsin.yaml:1: worker.channels must be at least 1', 'tocsin.yaml:1: worker.prefetch must be at most 1000'],
  ],
  [
    'a URL of another kind',
    'senders: { email: { url: "http://mail", from: a@example.com } }',
    ['tocsin.yaml:1: senders.email.url must be a URL that starts with smtp:// or smtps://'],
  ],
  [
    'inhibition, which is not there yet',
    'inhibitRules: [ { equal: [a] } ]',
    ['tocsin.yaml:1: inhibitRules are not supported by this release; remove them'],
  ],
  [
    'a variable that is not set',
    'a: 1\nb: "${SMTP_PASWORD}"',
    [
      'tocsin.yaml:2: environment variable SMTP_PASWORD is not set (but SMTP_PASSWORD is); set it, or write $${SMTP_PASWORD} for the plain text',
    ],
  ],
  [
    'a reference with an odd name',
    'b: "${a b}"',
    ["tocsin.yaml:1: '${a b}' is no reference; write ${NAME}, or $${ for a plain ${"],
  ],
  [
    'a reference that does not end',
    'b: "${A"',
    ["tocsin.yaml:1: '${A' is no reference; write ${NAME}, or $${ for a plain ${"],
  ],
  [
    'a secret file that is not there',
    'a:\n  b: file:/nowhere/secret',
    ["tocsin.yaml:2: cannot read '/nowhere/secret' (ENOENT)"],
  ],
  [
    'a route to a receiver that is not there',
    `${OPS}route: { receiver: opps }`,
    ["tocsin.yaml:2: route.receiver names no receiver: 'opps'; did you mean 'ops'?"],
  ],
  [
    'a top route without receiver',
    `${OPS}route: {}`,
    ['tocsin.yaml:2: route.receiver is missing: the top route catches what no other does'],
  ],
  [
    'a top route with matchers',
    `${OPS}route: { receiver: ops, matchers: [a="b"] }`,
    ['tocsin.yaml:2: route.matchers: the top route matches every alert; move them to a child in routes'],
  ],
  [
    'receivers without a route',
    OPS,
    ["tocsin.yaml:1: route is missing: name the receiver that alerts go to, e.g. 'route: { receiver: ops }'"],
  ],
  [
    'a receiver defined twice',
    'receivers:\n  - name: ops\n  - name: ops\nroute: { receiver: ops }',
    ["tocsin.yaml:3: receiver 'ops' is defined twice"],
  ],
  [
    'a target with a problem',
    'receivers:\n  - name: ops\n    targets:\n      - channel: email\n        to: 5\nroute: { receiver: ops }',
    ['tocsin.yaml:5: receivers[0].targets[0].to must be an e-mail address'],
  ],
  [
    'an unknown notification channel',
    'receivers:\n  - name: ops\n    targets:\n      - channel: emil\nroute: { receiver: ops }',
    ["tocsin.yaml:4: receivers[0].targets[0].channel 'emil' is unknown; known: email"],
  ],
  [
    'a matcher with a problem',
    `${OPS}route:\n  receiver: ops\n  routes:\n    - matchers:\n      - severity\n`,
    ["tocsin.yaml:6: route.routes[0].matchers[0] 'severity' is no matcher"],
  ],
  [
    'broken YAML',
    'a: [1\nb: 2',
    ['tocsin.yaml:2: Flow sequence in block collection must be sufficiently indented and end with a ]'],
  ],
  ['a key written twice', 'worker: {}\nworker: {}', ['tocsin.yaml:2: Map keys must be unique']],
];

describe('tocsin.yaml', () => {
  it.each(BAD)('refuses %s, with line and remedy', (_rule, text, messages) => {
    expect(problemsOf(text, { SMTP_PASSWORD: 'x' })).toEqual(messages);
  });

  it('starts without a file, a receiver or a sender', () => {
    const configuration = loadConfiguration(join(folder, 'absent.yaml'), true, {});
    expect(configuration.senders).toEqual({});
    expect(configuration.receivers).toEqual([{ name: 'none', targets: [] }]);
    expect(configuration.route).toMatchObject({ receiver: 'none', groupWaitMs: 30_000, routes: [] });
  });

  it('does not start without a file that was asked for', () => {
    expect(() => loadConfiguration(join(folder, 'absent.yaml'), false, {})).toThrow(
      'absent.yaml: does not exist; TOCSIN_CONFIG names the file',
    );
  });

  it('resolves variables, dollar escapes and secret files', () => {
    writeFileSync(join(folder, 'secret'), 's3cret\n');
    const { receivers } = load(
      'receivers:\n- name: ops\n  targets: [ { channel: email, to: "a-${X}-$$5-$${X}-${X}", secret: file:secret } ]\nroute: { receiver: ops }',
      { X: '1' },
    );
    expect(receivers[0]!.targets[0]!.target).toEqual({ to: 'a-1-$5-${X}-1', secret: 's3cret' });
  });

  it('inherits timers, grouping and receiver down the route tree', () => {
    const { route } = load(
      `${OPS}route:\n  receiver: ops\n  groupBy: [alertname]\n  groupWait: 0s\n  routes:\n    - matchers: [a="b"]\n      continue: true\n      groupInterval: 1h30m\n      routes: [ { groupBy: [host] } ]\n`,
    );
    const [child] = route.routes;
    expect(route).toMatchObject({
      groupWaitMs: 0,
      groupIntervalMs: 300_000,
      repeatIntervalMs: 14_400_000,
      continue: false,
    });
    expect(child).toMatchObject({
      receiver: 'ops',
      groupBy: ['alertname'],
      groupWaitMs: 0,
      groupIntervalMs: 5_400_000,
      matchers: ['a="b"'],
      continue: true,
    });
    expect(child!.routes[0]).toMatchObject({
      groupBy: ['host'],
      groupIntervalMs: 5_400_000,
      matchers: [],
      continue: false,
    });
  });

  it('gives senders their defaults and keeps those of later releases as written', () => {
    const { senders } = load('senders: { dingtalk: {}, webhook: {}, sms: { provider: twilio } }');
    expect(senders).toEqual({
      dingtalk: { baseUrl: 'https://oapi.dingtalk.com', timeoutMs: 10_000 },
      webhook: { timeoutMs: 10_000, allowPrivateAddresses: false },
      sms: { provider: 'twilio' },
    });
  });
});
