import {
  CodecError,
  decodeTableEntries,
  findField,
  PROTOCOL_HEADER,
  plainTable,
  type Table,
  tableOf,
} from '#amqp-codec';
import { ConnectionError } from '../errors.js';

/*
 *   client                                   broker
 *   "AMQP" 0 0 9 1               ─────▶
 *                                ◀─────      start      mechanisms PLAIN AMQPLAIN
 *   start-ok  mechanism, response ─────▶     refused: 403 after a second
 *                                ◀─────      tune       channel_max, frame_max, heartbeat
 *   tune-ok                      ─────▶      beyond our limits: 530
 *   open      virtual host       ─────▶      unknown or not permitted: 530
 *                                ◀─────      open-ok
 */

/** How long a client may take up to open-ok. */
export const HANDSHAKE_MS_MAX = 10_000;
/** A connection with refused credentials ends after this, to slow down guessing. */
export const REFUSAL_DELAY_MS = 1000;

/** Frames before tune-ok: what a client must be able to send at least, with room for long tokens. */
export const FRAME_MAX_BEFORE_TUNE = 8192;
const CHANNEL_MAX_MIN = 1;

export const MECHANISMS = 'PLAIN AMQPLAIN';
export const LOCALES = 'en_US';

const COMPATIBLE_PRODUCT = 'RabbitMQ';

/** Only what is implemented. */
const CAPABILITIES = {
  publisher_confirms: true,
  exchange_exchange_bindings: true,
  'basic.nack': true,
  consumer_cancel_notify: true,
  'connection.blocked': true,
  consumer_priorities: true,
  authentication_failure_close: true,
  per_consumer_qos: true,
  direct_reply_to: true,
};

/** Product and version are RabbitMQ's: clients choose behaviour by them. Our own name stands beside. */
export function serverProperties(clusterName: string, version: string): Table {
  return tableOf({
    capabilities: CAPABILITIES,
    cluster_name: clusterName,
    copyright: 'Apache-2.0',
    information: `Speaks AMQP 0-9-1 as RabbitMQ ${version} does`,
    platform: `Node.js ${process.version}`,
    product: COMPATIBLE_PRODUCT,
    server: 'Tocsin',
    version,
  });
}

/** Protocol headers answered with a handshake: 0-9-1 and the 0-9 header older clients of the same protocol send. */
const ACCEPTED_HEADERS = [PROTOCOL_HEADER, Buffer.from([0x41, 0x4d, 0x51, 0x50, 1, 1, 0, 9])];

/** What the first bytes of a connection are. Junk is known as such as soon as it differs from `AMQP`. */
export function judgeProtocolHeader(bytes: Buffer): 'incomplete' | 'accepted' | 'refused' {
  const name = PROTOCOL_HEADER.subarray(0, Math.min(4, bytes.length));
  if (!bytes.subarray(0, name.length).equals(name)) return 'refused';
  if (bytes.length < PROTOCOL_HEADER.length) return 'incomplete';
  const header = bytes.subarray(0, PROTOCOL_HEADER.length);
  return ACCEPTED_HEADERS.some((accepted) => accepted.equals(header)) ? 'accepted' : 'refused';
}

export interface Credentials {
  user: string;
  password: string;
}

/** Reads the response of start-ok. Throws 503 for an unknown mechanism, 502 for a response that cannot be read. */
export function credentialsOf(mechanism: string, response: Buffer): Credentials {
  switch (mechanism) {
    case 'PLAIN':
      return plainCredentials(response);
    case 'AMQPLAIN':
      return amqplainCredentials(response);
    default:
      throw new ConnectionError(
        'command-invalid',
        `unknown authentication mechanism '${mechanism}'; this broker speaks ${MECHANISMS}`,
      );
  }
}

/** [authzid] NUL user NUL password; RFC 4616. */
function plainCredentials(response: Buffer): Credentials {
  const parts = response.toString('utf8').split('\0');
  if (parts.length !== 3)
    throw new ConnectionError('syntax-error', 'invalid PLAIN response: NUL user NUL password is due');
  return { user: parts[1]!, password: parts[2]! };
}

/** A field table without its length, with LOGIN and PASSWORD. */
function amqplainCredentials(response: Buffer): Credentials {
  const table = readAmqplain(response);
  const login = findField(table, 'LOGIN');
  const password = findField(table, 'PASSWORD');
  if (login?.tag !== 'S' || password?.tag !== 'S') {
    throw new ConnectionError(
      'syntax-error',
      'AMQPLAIN auth info lacks LOGIN or PASSWORD, or they are no long strings',
    );
  }
  return { user: login.value, password: password.value };
}

function readAmqplain(response: Buffer): Table {
  try {
    return decodeTableEntries(response);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw new ConnectionError('syntax-error', `the AMQPLAIN response is no field table: ${error.message}`);
  }
}

/** Numbers of connection.tune and tune-ok; heartbeat in seconds. */
export interface Tuning {
  channelMax: number;
  frameMax: number;
  heartbeat: number;
}

/**
 * Checks tune-ok against what we offered. Throws 530 for a value outside our limits; 0 would mean none and is outside too.
 * @param frameBytesMin the smallest frame_max a client may ask for
 */
export function negotiate(offered: Tuning, answer: Tuning, frameBytesMin: number): Tuning {
  checkLimit('frame_max', frameBytesMin, offered.frameMax, answer.frameMax);
  checkLimit('channel_max', CHANNEL_MAX_MIN, offered.channelMax, answer.channelMax);
  return answer;
}

function checkLimit(name: string, min: number, max: number, value: number): void {
  const refuse = (relation: string, which: string, limit: number) => {
    throw new ConnectionError(
      'not-allowed',
      `negotiated ${name} = ${value} is ${relation} than the ${which} allowed value (${limit})`,
    );
  };
  if (value !== 0 && value < min) refuse('lower', 'minimum', min);
  if (max !== 0 && (value === 0 || value > max)) refuse('higher', 'maximum', max);
}

/** What a client said about itself in start-ok. */
export interface ClientProfile {
  properties: Record<string, unknown>;
  /** `connection_name`, shown to people. */
  connectionName: string | undefined;
  hearsConsumerCancel: boolean;
  hearsBlocked: boolean;
  hearsAuthenticationFailure: boolean;
}

export function profileOf(clientProperties: Table): ClientProfile {
  const capabilities = findField(clientProperties, 'capabilities');
  const can = (name: string) => {
    const field = capabilities?.tag === 'F' ? findField(capabilities.value, name) : undefined;
    return field?.tag === 't' && field.value;
  };
  const name = findField(clientProperties, 'connection_name');
  return {
    properties: plainTable(clientProperties),
    connectionName: name?.tag === 'S' ? name.value : undefined,
    hearsConsumerCancel: can('consumer_cancel_notify'),
    hearsBlocked: can('connection.blocked'),
    hearsAuthenticationFailure: can('authentication_failure_close'),
  };
}
