import type { Table } from './fields.js';

/** TypeScript type of each wire type a method field can have. Bits share octets with their neighbours. */
export interface WireTypes {
  octet: number;
  short: number;
  long: number;
  longlong: number;
  shortstr: string;
  longstr: Buffer;
  bit: boolean;
  table: Table;
}

export type WireType = keyof WireTypes;

interface MethodShape {
  /** Class and method number. */
  readonly id: readonly [number, number];
  /** Name '' marks a reserved field: written as zero, skipped when read. */
  readonly fields: readonly (readonly [name: string, type: WireType])[];
  /** A content (header and body frames) follows. */
  readonly hasContent?: true;
  /** The sender waits for an answer. */
  readonly isSynchronous?: true;
}

/** Every method of AMQP 0-9-1 as RabbitMQ speaks it (amqp-rabbitmq-0.9.1.json). The one list; types and codecs are derived. */
export const METHODS = {
  'connection.start': {
    id: [10, 10],
    isSynchronous: true,
    fields: [
      ['versionMajor', 'octet'],
      ['versionMinor', 'octet'],
      ['serverProperties', 'table'],
      ['mechanisms', 'longstr'],
      ['locales', 'longstr'],
    ],
  },
  'connection.start-ok': {
    id: [10, 11],
    fields: [
      ['clientProperties', 'table'],
      ['mechanism', 'shortstr'],
      ['response', 'longstr'],
      ['locale', 'shortstr'],
    ],
  },
  'connection.secure': { id: [10, 20], isSynchronous: true, fields: [['challenge', 'longstr']] },
  'connection.secure-ok': { id: [10, 21], fields: [['response', 'longstr']] },
  'connection.tune': {
    id: [10, 30],
    isSynchronous: true,
    fields: [
      ['channelMax', 'short'],
      ['frameMax', 'long'],
      ['heartbeat', 'short'],
    ],
  },
  'connection.tune-ok': {
    id: [10, 31],
    fields: [
      ['channelMax', 'short'],
      ['frameMax', 'long'],
      ['heartbeat', 'short'],
    ],
  },
  'connection.open': {
    id: [10, 40],
    isSynchronous: true,
    fields: [
      ['virtualHost', 'shortstr'],
      ['', 'shortstr'],
      ['', 'bit'],
    ],
  },
  'connection.open-ok': { id: [10, 41], fields: [['', 'shortstr']] },
  'connection.close': {
    id: [10, 50],
    isSynchronous: true,
    fields: [
      ['replyCode', 'short'],
      ['replyText', 'shortstr'],
      ['classId', 'short'],
      ['methodId', 'short'],
    ],
  },
  'connection.close-ok': { id: [10, 51], fields: [] },
  'connection.blocked': { id: [10, 60], fields: [['reason', 'shortstr']] },
  'connection.unblocked': { id: [10, 61], fields: [] },
  'connection.update-secret': {
    id: [10, 70],
    isSynchronous: true,
    fields: [
      ['newSecret', 'longstr'],
      ['reason', 'shortstr'],
    ],
  },
  'connection.update-secret-ok': { id: [10, 71], fields: [] },
  'channel.open': { id: [20, 10], isSynchronous: true, fields: [['', 'shortstr']] },
  // 0-9-1 says nothing of it in the text, but its field is a long string.
  'channel.open-ok': { id: [20, 11], fields: [['', 'longstr']] },
  'channel.flow': { id: [20, 20], isSynchronous: true, fields: [['active', 'bit']] },
  'channel.flow-ok': { id: [20, 21], fields: [['active', 'bit']] },
  'channel.close': {
    id: [20, 40],
    isSynchronous: true,
    fields: [
      ['replyCode', 'short'],
      ['replyText', 'shortstr'],
      ['classId', 'short'],
      ['methodId', 'short'],
    ],
  },
  'channel.close-ok': { id: [20, 41], fields: [] },
  'access.request': {
    id: [30, 10],
    isSynchronous: true,
    fields: [
      ['realm', 'shortstr'],
      ['exclusive', 'bit'],
      ['passive', 'bit'],
      ['active', 'bit'],
      ['write', 'bit'],
      ['read', 'bit'],
    ],
  },
  'access.request-ok': { id: [30, 11], fields: [['ticket', 'short']] },
  'exchange.declare': {
    id: [40, 10],
    isSynchronous: true,
    fields: [
      ['', 'short'],
      ['exchange', 'shortstr'],
      ['type', 'shortstr'],
      ['passive', 'bit'],
      ['durable', 'bit'],
      ['autoDelete', 'bit'],
      ['internal', 'bit'],
      ['nowait', 'bit'],
      ['arguments', 'table'],
    ],
  },
  'exchange.declare-ok': { id: [40, 11], fields: [] },
  'exchange.delete': {
    id: [40, 20],
    isSynchronous: true,
    fields: [
      ['', 'short'],
      ['exchange', 'shortstr'],
      ['ifUnused', 'bit'],
      ['nowait', 'bit'],
    ],
  },
  'exchange.delete-ok': { id: [40, 21], fields: [] },
  'exchange.bind': {
    id: [40, 30],
    isSynchronous: true,
    fields: [
      ['', 'short'],
      ['destination', 'shortstr'],
      ['source', 'shortstr'],
      ['routingKey', 'shortstr'],
      ['nowait', 'bit'],
      ['arguments', 'table'],
    ],
  },
  'exchange.bind-ok': { id: [40, 31], fields: [] },
  'exchange.unbind': {
    id: [40, 40],
    isSynchronous: true,
    fields: [
      ['', 'short'],
      ['destination', 'shortstr'],
      ['source', 'shortstr'],
      ['routingKey', 'shortstr'],
      ['nowait', 'bit'],
      ['arguments', 'table'],
    ],
  },
  'exchange.unbind-ok': { id: [40, 51], fields: [] },
  'queue.declare': {
    id: [50, 10],
    isSynchronous: true,
    fields: [
      ['', 'short'],
      ['queue', 'shortstr'],
      ['passive', 'bit'],
      ['durable', 'bit'],
      ['exclusive', 'bit'],
      ['autoDelete', 'bit'],
      ['nowait', 'bit'],
      ['arguments', 'table'],
    ],
  },
  'queue.declare-ok': {
    id: [50, 11],
    fields: [
      ['queue', 'shortstr'],
      ['messageCount', 'long'],
      ['consumerCount', 'long'],
    ],
  },
  'queue.bind': {
    id: [50, 20],
    isSynchronous: true,
    fields: [
      ['', 'short'],
      ['queue', 'shortstr'],
      ['exchange', 'shortstr'],
      ['routingKey', 'shortstr'],
      ['nowait', 'bit'],
      ['arguments', 'table'],
    ],
  },
  'queue.bind-ok': { id: [50, 21], fields: [] },
  'queue.purge': {
    id: [50, 30],
    isSynchronous: true,
    fields: [
      ['', 'short'],
      ['queue', 'shortstr'],
      ['nowait', 'bit'],
    ],
  },
  'queue.purge-ok': { id: [50, 31], fields: [['messageCount', 'long']] },
  'queue.delete': {
    id: [50, 40],
    isSynchronous: true,
    fields: [
      ['', 'short'],
      ['queue', 'shortstr'],
      ['ifUnused', 'bit'],
      ['ifEmpty', 'bit'],
      ['nowait', 'bit'],
    ],
  },
  'queue.delete-ok': { id: [50, 41], fields: [['messageCount', 'long']] },
  'queue.unbind': {
    id: [50, 50],
    isSynchronous: true,
    fields: [
      ['', 'short'],
      ['queue', 'shortstr'],
      ['exchange', 'shortstr'],
      ['routingKey', 'shortstr'],
      ['arguments', 'table'],
    ],
  },
  'queue.unbind-ok': { id: [50, 51], fields: [] },
  'basic.qos': {
    id: [60, 10],
    isSynchronous: true,
    fields: [
      ['prefetchSize', 'long'],
      ['prefetchCount', 'short'],
      ['global', 'bit'],
    ],
  },
  'basic.qos-ok': { id: [60, 11], fields: [] },
  'basic.consume': {
    id: [60, 20],
    isSynchronous: true,
    fields: [
      ['', 'short'],
      ['queue', 'shortstr'],
      ['consumerTag', 'shortstr'],
      ['noLocal', 'bit'],
      ['noAck', 'bit'],
      ['exclusive', 'bit'],
      ['nowait', 'bit'],
      ['arguments', 'table'],
    ],
  },
  'basic.consume-ok': { id: [60, 21], fields: [['consumerTag', 'shortstr']] },
  'basic.cancel': {
    id: [60, 30],
    isSynchronous: true,
    fields: [
      ['consumerTag', 'shortstr'],
      ['nowait', 'bit'],
    ],
  },
  'basic.cancel-ok': { id: [60, 31], fields: [['consumerTag', 'shortstr']] },
  'basic.publish': {
    id: [60, 40],
    hasContent: true,
    fields: [
      ['', 'short'],
      ['exchange', 'shortstr'],
      ['routingKey', 'shortstr'],
      ['mandatory', 'bit'],
      ['immediate', 'bit'],
    ],
  },
  'basic.return': {
    id: [60, 50],
    hasContent: true,
    fields: [
      ['replyCode', 'short'],
      ['replyText', 'shortstr'],
      ['exchange', 'shortstr'],
      ['routingKey', 'shortstr'],
    ],
  },
  'basic.deliver': {
    id: [60, 60],
    hasContent: true,
    fields: [
      ['consumerTag', 'shortstr'],
      ['deliveryTag', 'longlong'],
      ['redelivered', 'bit'],
      ['exchange', 'shortstr'],
      ['routingKey', 'shortstr'],
    ],
  },
  'basic.get': {
    id: [60, 70],
    isSynchronous: true,
    fields: [
      ['', 'short'],
      ['queue', 'shortstr'],
      ['noAck', 'bit'],
    ],
  },
  'basic.get-ok': {
    id: [60, 71],
    hasContent: true,
    fields: [
      ['deliveryTag', 'longlong'],
      ['redelivered', 'bit'],
      ['exchange', 'shortstr'],
      ['routingKey', 'shortstr'],
      ['messageCount', 'long'],
    ],
  },
  'basic.get-empty': { id: [60, 72], fields: [['', 'shortstr']] },
  'basic.ack': {
    id: [60, 80],
    fields: [
      ['deliveryTag', 'longlong'],
      ['multiple', 'bit'],
    ],
  },
  'basic.reject': {
    id: [60, 90],
    fields: [
      ['deliveryTag', 'longlong'],
      ['requeue', 'bit'],
    ],
  },
  'basic.recover-async': { id: [60, 100], fields: [['requeue', 'bit']] },
  'basic.recover': { id: [60, 110], isSynchronous: true, fields: [['requeue', 'bit']] },
  'basic.recover-ok': { id: [60, 111], fields: [] },
  'basic.nack': {
    id: [60, 120],
    fields: [
      ['deliveryTag', 'longlong'],
      ['multiple', 'bit'],
      ['requeue', 'bit'],
    ],
  },
  'confirm.select': { id: [85, 10], isSynchronous: true, fields: [['nowait', 'bit']] },
  'confirm.select-ok': { id: [85, 11], fields: [] },
  'tx.select': { id: [90, 10], isSynchronous: true, fields: [] },
  'tx.select-ok': { id: [90, 11], fields: [] },
  'tx.commit': { id: [90, 20], isSynchronous: true, fields: [] },
  'tx.commit-ok': { id: [90, 21], fields: [] },
  'tx.rollback': { id: [90, 30], isSynchronous: true, fields: [] },
  'tx.rollback-ok': { id: [90, 31], fields: [] },
} as const satisfies Record<string, MethodShape>;

export type MethodName = keyof typeof METHODS;

type FieldsOf<Name extends MethodName> = (typeof METHODS)[Name]['fields'][number];

/** The named fields of a method; reserved ones do not appear. */
export type MethodArguments<Name extends MethodName> = {
  [Each in FieldsOf<Name> as Exclude<Each[0], ''>]: WireTypes[Each[1]];
};

/** A decoded method, discriminated by `name`. */
export type Method = {
  [Name in MethodName]: { readonly name: Name; readonly args: MethodArguments<Name> };
}[MethodName];

/** Class and method number in one number, as it stands in the first four bytes of the payload. */
export function methodKey(name: MethodName): number {
  const [classId, methodId] = METHODS[name].id;
  return classId * 65536 + methodId;
}

/** Looks at the loose shape, where optional flags exist on every entry. */
export function shapeOf(name: MethodName): MethodShape {
  return METHODS[name];
}
