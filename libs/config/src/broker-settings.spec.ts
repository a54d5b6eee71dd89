// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references of tocsin.yaml look like that
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { loadBrokerSettings } from './broker-settings.js';
import { loadConfiguration } from './configuration.js';
import { ConfigurationError } from './configuration-error.js';

const folder = mkdtempSync(join(tmpdir(), 'tocsin-broker-'));
const file = join(folder, 'tocsin.yaml');
afterAll(() => rmSync(folder, { recursive: true }));

function load(text: string, environment: NodeJS.ProcessEnv = {}) {
  writeFileSync(file, text);
  return loadBrokerSettings({ TOCSIN_CONFIG: file, ...environment }).settings;
}

function problemsOf(load: () => unknown): string[] {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigurationError) return error.message.replaceAll(file, 'tocsin.yaml').split('\n');
    throw error;
  }
  return [];
}

describe('the section broker', () => {
  it('has defaults without a file, or without the section', () => {
    const { configuration, ...rest } = load('receivers: []');
    expect(rest).toMatchObject({ host: '127.0.0.1', amqpPort: 5672, amqpsPort: 5671, managementPort: 15_672 });
    expect(configuration).toMatchObject({
      compat: '3.13',
      permitDeprecated: { transientNonexclQueues: false, globalQos: false },
      diskFreeLimitBytes: 50_000_000,
      loopbackUsers: ['guest'],
      heartbeatSeconds: 60,
      frameMax: 131_072,
      channelMax: 2047,
    });
    expect([configuration.tls, configuration.consumerTimeoutMs, configuration.maxMessageBytes]).toEqual([]);
  });

  it('is read with its units and files, relative to the folder of tocsin.yaml', () => {
    const { configuration } = load(
      [
        'broker:',
        '  compat: "4.3"',
        '  permitDeprecated: { globalQos: true }',
        '  consumerTimeout: 15m',
        '  vmMemoryHighWatermark: 0.5',
        '  diskFreeLimit: 2GB',
        '  loopbackUsers: []',
        '  heartbeat: 0s',
        '  maxMessageSize: 1MiB',
        '  tls: { certfile: tls/server.pem, keyfile: "${KEY}", cacertfile: ca.pem, verify: peer, failIfNoPeerCert: true }',
      ].join('\n'),
      { KEY: '/keys/server.key' },
    );
    expect(configuration).toMatchObject({
      compat: '4.3',
      permitDeprecated: { transientNonexclQueues: false, globalQos: true },
      consumerTimeoutMs: 900_000,
      vmMemoryHighWatermark: { share: 0.5 },
      diskFreeLimitBytes: 2_000_000_000,
      loopbackUsers: [],
      heartbeatSeconds: 0,
      maxMessageBytes: 1_048_576,
      tls: {
        certfile: join(folder, 'tls/server.pem'),
        keyfile: '/keys/server.key',
        cacertfile: join(folder, 'ca.pem'),
        verify: 'peer',
        failIfNoPeerCert: true,
      },
    });
  });

  it('needs none of the secrets of other sections', () => {
    const text = 'senders: { email: { url: "smtp://${PASSWORD}@mail", from: a@b } }\nbroker: { heartbeat: 10s }';
    expect(load(text).configuration.heartbeatSeconds).toBe(10);
  });

  it('is not read while another section has a name nobody knows', () => {
    const problems = problemsOf(() => load('brokre: {}'));
    expect(problems).toEqual(["tocsin.yaml:1: unknown key 'brokre'; did you mean 'broker'?"]);
  });

  it.each([
    ['compat: 4.3', "broker.compat must be '3.13', '4.2' or '4.3', in quotes"],
    ['heartbeat: 1ms', 'broker.heartbeat must be whole seconds, at most 65535s; 0s is off'],
    ['frameMax: 4095', "broker.frameMax must be at least 4096 with compat '3.13'"],
    ['{ frameMax: 4096, compat: "4.2" }', "broker.frameMax must be at least 8192 with compat '4.2'"],
    ['channelMax: 0', 'broker.channelMax must be at least 1'],
    ['maxMessageSize: 1GiB', 'broker.maxMessageSize must be from 1 byte to 512MiB'],
    ['diskFreeLimit: 50mb', "broker.diskFreeLimit must be a number of bytes, or a size such as '50MB' or '128MiB'"],
    ['diskFreeLimit: -1', "broker.diskFreeLimit must be a number of bytes, or a size such as '50MB' or '128MiB'"],
    [
      'vmMemoryHighWatermark: 40',
      "broker.vmMemoryHighWatermark must be a share of the machine's memory from 0 to 1, or a size such as '2GB'",
    ],
    ['tls: { certfile: a }', 'broker.tls.keyfile is missing; it must be a text'],
    [
      'tls: { certfile: a, keyfile: b, verify: peer }',
      'broker.tls.cacertfile is missing: it holds the authorities whose client certificates are trusted',
    ],
    [
      'tls: { certfile: a, keyfile: b, failIfNoPeerCert: true }',
      "broker.tls.failIfNoPeerCert demands client certificates, which 'verify: peer' checks; add it",
    ],
    [
      'tls: { certfile: a, keyfile: b, verify: none, verfy: x }',
      "unknown key 'verfy' in broker.tls; did you mean 'verify'?",
    ],
    ['memoryHighWatermark: 1', "unknown key 'memoryHighWatermark' in broker; did you mean 'vmMemoryHighWatermark'?"],
  ])('refuses %s, in both processes', (written, message) => {
    const text = written.startsWith('{') ? `broker: ${written}` : `broker:\n  ${written}`;
    const inBroker = problemsOf(() => load(text));
    expect(inBroker).toHaveLength(1);
    expect(inBroker[0]).toMatch(/^tocsin.yaml:[12]: /);
    expect(inBroker[0]).toContain(message);
    expect(problemsOf(() => loadConfiguration(file, false, {}))).toEqual(inBroker);
  });
});
