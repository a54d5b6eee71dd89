import { decodeProperties, encodeProperties, type Field, findField, integerOf, type Table } from '#amqp-codec';
import { stringsOf } from '../exchanges/extra-keys.js';
import { Message } from '../message.js';

export type DeathReason = 'rejected' | 'expired' | 'maxlen' | 'delivery_limit';

export interface Death {
  queue: string;
  reason: DeathReason;
  atMs: number;
  deadLetterExchange: string;
  /** Undefined: the message keeps its keys. */
  deadLetterRoutingKey: string | undefined;
}

export interface DeadLetter {
  message: Message;
  routingKeys: readonly string[];
  /** Its `x-death` header, newest event first. */
  deaths: readonly Field[];
}

/** The message that a dead-letter exchange gets: death recorded in its headers, expiration gone, everything else as it was. */
export function deadLetterOf(message: Message, death: Death): DeadLetter {
  const { expiration, ...properties } = decodeProperties(message.properties);
  const headers = message.vouchesForDeaths ? (properties.headers ?? []) : withoutDeaths(properties.headers ?? []);
  const carbonKeys = stringsOf(findField(headers, 'CC'));
  const visibleKeys = [message.routingKey, ...carbonKeys];
  const deaths = recordDeath(headers, deathEvent(message, death, visibleKeys, expiration), death);

  const isRerouted = death.deadLetterRoutingKey !== undefined;
  const kept = headers.filter(([key]) => key !== 'BCC' && !(isRerouted && key === 'CC'));
  const additions = deathHeaders(kept, message, death, deaths);
  return {
    message: new Message(
      death.deadLetterExchange,
      death.deadLetterRoutingKey ?? message.routingKey,
      encodeProperties({ ...properties, headers: withHeaders(kept, additions) }),
      message.body,
    ),
    routingKeys: isRerouted ? [death.deadLetterRoutingKey!] : [...visibleKeys, ...message.blindKeys],
    deaths,
  };
}

const DEATH_HEADER = /^x-(death$|(first|last)-death-)/;
const DEATHS = Buffer.from('-death');

/** Whether its headers may hold deaths: a quick look, which a text elsewhere among the properties can mislead without harm. */
export function namesDeaths({ properties }: Message): boolean {
  return properties.length > DEATHS.length && properties.includes(DEATHS);
}

function withoutDeaths(headers: Table): Table {
  return headers.filter(([key]) => !DEATH_HEADER.test(key));
}

/**
 * Whether a dead letter must not enter `queue`: it died there before and came back without anyone rejecting it on the way.
 * Otherwise two queues could pass an expiring message to each other for ever.
 */
export function isAutomaticCycle(queue: string, deaths: readonly Field[], reason: DeathReason): boolean {
  if (reason === 'rejected') return false;
  const last = deaths.findIndex((event) => textIn(event, 'queue') === queue);
  return last !== -1 && deaths.slice(0, last + 1).every((event) => textIn(event, 'reason') !== 'rejected');
}

/** One event per queue and reason; a repeat is counted, keeps its first time and moves to the front. */
function recordDeath(headers: Table, event: Table, death: Death): Field[] {
  const recorded = findField(headers, 'x-death');
  if (recorded?.tag !== 'A') return [{ tag: 'F', value: event }];

  const isSamePair = (each: Field) => textIn(each, 'queue') === death.queue && textIn(each, 'reason') === death.reason;
  const repeated = recorded.value.find(isSamePair);
  const newest = repeated?.tag === 'F' ? counted(repeated.value) : event;
  return [{ tag: 'F', value: sortedByKey(newest) }, ...recorded.value.filter((each) => !isSamePair(each))];
}

function deathEvent(message: Message, death: Death, keys: readonly string[], expiration: string | undefined): Table {
  const event: [string, Field][] = [
    ['count', { tag: 'l', value: 1n }],
    ['reason', text(death.reason)],
    ['queue', text(death.queue)],
    ['time', { tag: 'T', value: BigInt(Math.floor(death.atMs / 1000)) }],
    ['exchange', text(message.exchange)],
    ['routing-keys', { tag: 'A', value: keys.map(text) }],
  ];
  if (expiration !== undefined) event.push(['original-expiration', text(expiration)]);
  return event;
}

function counted(event: Table): Table {
  const count = BigInt(integerOf(findField(event, 'count')) ?? 1) + 1n;
  return withHeaders(event, [['count', { tag: 'l', value: count }]]);
}

function deathHeaders(headers: Table, message: Message, death: Death, deaths: readonly Field[]): Table {
  const where: [string, string][] = [
    ['exchange', message.exchange],
    ['queue', death.queue],
    ['reason', death.reason],
  ];
  const isFirst = findField(headers, 'x-first-death-reason') === undefined;
  return [
    ['x-death', { tag: 'A', value: deaths }],
    ...(isFirst ? where.map(([what, value]) => [`x-first-death-${what}`, text(value)] as const) : []),
    ...where.map(([what, value]) => [`x-last-death-${what}`, text(value)] as const),
  ];
}

/** Replaces by key and sorts, as RabbitMQ leaves headers that it has changed. */
function withHeaders(headers: Table, additions: Table): Table {
  const replaced = new Set(additions.map(([key]) => key));
  return sortedByKey([...headers.filter(([key]) => !replaced.has(key)), ...additions]);
}

function sortedByKey(table: Table): Table {
  return table.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function text(value: string): Field {
  return { tag: 'S', value };
}

function textIn(event: Field, key: string): string | undefined {
  if (event.tag !== 'F') return undefined;
  const field = findField(event.value, key);
  return field?.tag === 'S' ? field.value : undefined;
}
