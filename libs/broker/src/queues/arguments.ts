import { type Field, findField, integerOf, type Table } from '#amqp-codec';
import { type Behaviour, behaviourOf } from '../compat.js';
import { ChannelError } from '../errors.js';
import { assertSameArgument, FIELD_TYPE_NAMES } from '../exchanges/equivalence.js';

export type QueueType = 'classic' | 'quorum';
export type Overflow = 'drop-head' | 'reject-publish' | 'reject-publish-dlx';

/** What a queue's arguments ask of it. Absent means no limit. */
export interface QueueSettings {
  readonly type: QueueType;
  readonly messageTtlMs: number | undefined;
  readonly expiresMs: number | undefined;
  readonly maxLength: number | undefined;
  /** Bodies of ready messages only. */
  readonly maxLengthBytes: number | undefined;
  readonly overflow: Overflow;
  readonly deadLetterExchange: string | undefined;
  readonly deadLetterRoutingKey: string | undefined;
  /** The source message stays until its dead letter is stored. */
  readonly deadLettersAtLeastOnce: boolean;
  /** Highest level; 0 is a queue without priorities. */
  readonly maxPriority: number;
  readonly isSingleActiveConsumer: boolean;
  /** Failed deliveries after which a message is dead-lettered. */
  readonly deliveryLimit: number | undefined;
  /** How long a delivery may stay unsettled; 0 is for ever. */
  readonly consumerTimeoutMs: number | undefined;
}

/** One declare argument: which queue types know it and what is wrong with a value, in RabbitMQ's words. */
interface ArgumentRule {
  readonly types: readonly QueueType[] | ((behaviour: Behaviour) => readonly QueueType[]);
  /** The reason of the 406, or undefined when the value is good. */
  flaw(field: Field, all: Table, behaviour: Behaviour): string | undefined;
}

const EVERY: readonly QueueType[] = ['classic', 'quorum'];
const CLASSIC: readonly QueueType[] = ['classic'];
const QUORUM: readonly QueueType[] = ['quorum'];
const NEITHER: readonly QueueType[] = [];

/** Ten years; RabbitMQ's largest timer. */
export const EXPIRY_MS_MAX = 315_360_000_000;
const PRIORITY_MAX = 255;

/** Arguments that are not listed are ignored, when declaring and when comparing, as RabbitMQ does. */
const ARGUMENTS: Record<string, ArgumentRule> = {
  'x-queue-type': { types: EVERY, flaw: queueTypeFlaw },
  'x-expires': { types: EVERY, flaw: (field) => expiresFlaw(field) },
  'x-message-ttl': { types: EVERY, flaw: (field) => ttlFlaw(field) },
  'x-dead-letter-exchange': { types: EVERY, flaw: () => undefined },
  'x-dead-letter-routing-key': { types: EVERY, flaw: deadLetterKeyFlaw },
  'x-dead-letter-strategy': { types: QUORUM, flaw: oneOf(['at-most-once', 'at-least-once'], 'invalid_dlx_strategy') },
  'x-max-length': { types: EVERY, flaw: countFlaw },
  'x-max-length-bytes': { types: EVERY, flaw: countFlaw },
  'x-max-in-memory-length': { types: QUORUM, flaw: countFlaw },
  'x-max-in-memory-bytes': { types: QUORUM, flaw: countFlaw },
  'x-max-priority': { types: CLASSIC, flaw: priorityFlaw },
  'x-overflow': {
    types: EVERY,
    flaw: oneOf(['drop-head', 'reject-publish', 'reject-publish-dlx'], 'invalid_overflow'),
  },
  'x-queue-mode': {
    types: ({ legacyClassicArguments }) => (legacyClassicArguments === 'accepted' ? CLASSIC : NEITHER),
    flaw: oneOf(['default', 'lazy'], 'unsupported queue mode'),
  },
  'x-queue-version': { types: CLASSIC, flaw: queueVersionFlaw },
  'x-single-active-consumer': { types: EVERY, flaw: booleanFlaw },
  'x-consumer-timeout': {
    types: ({ consumerTimeout }) => (consumerTimeout === 'quorum-queue-takes-back' ? QUORUM : EVERY),
    flaw: ttlFlaw,
  },
  'x-delivery-limit': { types: QUORUM, flaw: integerFlaw },
  'x-queue-leader-locator': { types: EVERY, flaw: textFlaw },
  'x-queue-master-locator': { types: CLASSIC, flaw: textFlaw },
  'x-quorum-initial-group-size': { types: QUORUM, flaw: positiveFlaw },
  'x-max-age': { types: NEITHER, flaw: textFlaw },
  'x-stream-max-segment-size-bytes': { types: NEITHER, flaw: countFlaw },
  'x-stream-filter-size-bytes': { types: NEITHER, flaw: countFlaw },
  'x-initial-cluster-size': { types: NEITHER, flaw: positiveFlaw },
};

/** Reads and checks the arguments of a new queue. Throws 406. `subject` reads like `queue 'q' in vhost '/'`. */
export function readQueueSettings(table: Table, subject: string, behaviour: Behaviour): QueueSettings {
  const deadLetterExchange = findField(table, 'x-dead-letter-exchange');
  if (deadLetterExchange !== undefined && deadLetterExchange.tag !== 'S') {
    const type = FIELD_TYPE_NAMES[deadLetterExchange.tag];
    throw preconditionFailed(`invalid type '${type}' for arg 'x-dead-letter-exchange' in ${subject}`);
  }
  for (const [name, rule] of Object.entries(ARGUMENTS)) {
    const field = findField(table, name);
    const flaw = field && rule.flaw(field, table, behaviour);
    if (flaw !== undefined) throw preconditionFailed(`invalid arg '${name}' for ${subject}: ${flaw}`);
  }
  const type = queueTypeOf(table);
  for (const [name, rule] of Object.entries(ARGUMENTS)) {
    if (isKnown(rule, type, behaviour) || findField(table, name) === undefined) continue;
    throw preconditionFailed(`invalid arg '${name}' for ${subject} of queue type rabbit_${type}_queue`);
  }
  return settingsOf(table, type, behaviour);
}

/** The settings of a queue that exists: what is refused today may have been fine when it was declared. */
export function restoreQueueSettings(table: Table, subject: string, behaviour: Behaviour): QueueSettings {
  const { legacyClassicArguments, consumerTimeout } = behaviourOf();
  return readQueueSettings(table, subject, { ...behaviour, legacyClassicArguments, consumerTimeout });
}

function isKnown({ types }: ArgumentRule, type: QueueType, behaviour: Behaviour): boolean {
  return (typeof types === 'function' ? types(behaviour) : types).includes(type);
}

/** A redeclaration: throws 406 when an argument that this type knows differs. */
export function assertSameQueueArguments(received: Table, current: Table, subject: string, behaviour: Behaviour): void {
  const type = queueTypeOf(current);
  for (const [name, rule] of Object.entries(ARGUMENTS)) {
    if (!isKnown(rule, type, behaviour)) continue;
    if (name === 'x-queue-type' && isClassic(received) && isClassic(current)) continue;
    assertSameArgument(subject, name, received, current);
  }
}

function settingsOf(table: Table, type: QueueType, behaviour: Behaviour): QueueSettings {
  const overflow = textOf(table, 'x-overflow') as Overflow | undefined;
  const deliveryLimit =
    integerOf(findField(table, 'x-delivery-limit')) ?? (type === 'quorum' ? behaviour.deliveryLimit : undefined);
  const singleActive = findField(table, 'x-single-active-consumer');
  // Quorum queues know no reject-publish-dlx: RabbitMQ accepts the word and drops from the head.
  const isUnknownToType = type === 'quorum' && overflow === 'reject-publish-dlx';
  return {
    type,
    messageTtlMs: integerOf(findField(table, 'x-message-ttl')),
    expiresMs: integerOf(findField(table, 'x-expires')),
    maxLength: integerOf(findField(table, 'x-max-length')),
    maxLengthBytes: integerOf(findField(table, 'x-max-length-bytes')),
    overflow: overflow === undefined || isUnknownToType ? 'drop-head' : overflow,
    deadLetterExchange: textOf(table, 'x-dead-letter-exchange'),
    deadLetterRoutingKey: textOf(table, 'x-dead-letter-routing-key'),
    // Without reject-publish RabbitMQ falls back to at-most-once: a dropped head must not pile up elsewhere.
    deadLettersAtLeastOnce:
      textOf(table, 'x-dead-letter-strategy') === 'at-least-once' && overflow === 'reject-publish',
    maxPriority: integerOf(findField(table, 'x-max-priority')) ?? 0,
    isSingleActiveConsumer: singleActive?.tag === 't' && singleActive.value,
    deliveryLimit: deliveryLimit === undefined || deliveryLimit < 0 ? undefined : deliveryLimit,
    consumerTimeoutMs: integerOf(findField(table, 'x-consumer-timeout')),
  };
}

function queueTypeOf(table: Table): QueueType {
  return textOf(table, 'x-queue-type') === 'quorum' ? 'quorum' : 'classic';
}

function isClassic(table: Table): boolean {
  const type = findField(table, 'x-queue-type');
  return type === undefined || (type.tag === 'S' && type.value === 'classic');
}

function textOf(table: Table, name: string): string | undefined {
  const field = findField(table, name);
  return field?.tag === 'S' ? field.value : undefined;
}

function queueTypeFlaw(field: Field): string | undefined {
  const flaw = textFlaw(field);
  if (flaw !== undefined || field.tag !== 'S') return flaw;
  if (field.value === 'classic' || field.value === 'quorum') return undefined;
  const help = field.value === 'stream' ? '; declare a quorum or classic queue' : '';
  return `"unsupported queue type '${field.value}'${help}"`;
}

function deadLetterKeyFlaw(field: Field, all: Table): string | undefined {
  const flaw = textFlaw(field);
  if (flaw !== undefined) return flaw;
  return findField(all, 'x-dead-letter-exchange') === undefined ? 'routing_key_but_no_dlx_defined' : undefined;
}

function queueVersionFlaw(field: Field, _all: Table, behaviour: Behaviour): string | undefined {
  const version = integerOf(field);
  if (version === undefined) return integerFlaw(field);
  const isServed = version === 2 || (version === 1 && behaviour.legacyClassicArguments === 'accepted');
  return isServed ? undefined : `"unsupported queue version '${version}'"`;
}

function priorityFlaw(field: Field): string | undefined {
  const flaw = countFlaw(field);
  if (flaw !== undefined) return flaw;
  return integerOf(field)! > PRIORITY_MAX ? `{max_value_exceeded,${integerOf(field)}}` : undefined;
}

function ttlFlaw(field: Field): string | undefined {
  const flaw = countFlaw(field);
  if (flaw !== undefined) return flaw;
  return integerOf(field)! > EXPIRY_MS_MAX ? `{value_too_large,${integerOf(field)}}` : undefined;
}

function expiresFlaw(field: Field): string | undefined {
  return ttlFlaw(field) ?? positiveFlaw(field);
}

function positiveFlaw(field: Field): string | undefined {
  return countFlaw(field) ?? (integerOf(field) === 0 ? '{value_zero,0}' : undefined);
}

function countFlaw(field: Field): string | undefined {
  const flaw = integerFlaw(field);
  if (flaw !== undefined) return flaw;
  return integerOf(field)! < 0 ? `{value_negative,${integerOf(field)}}` : undefined;
}

function integerFlaw(field: Field): string | undefined {
  return integerOf(field) === undefined ? `"expected integer, got ${FIELD_TYPE_NAMES[field.tag]}"` : undefined;
}

function booleanFlaw(field: Field): string | undefined {
  return field.tag === 't' ? undefined : unacceptableType(field);
}

function textFlaw(field: Field): string | undefined {
  return field.tag === 'S' ? undefined : unacceptableType(field);
}

function unacceptableType(field: Field): string {
  return `{unacceptable_type,${FIELD_TYPE_NAMES[field.tag]}}`;
}

/** `reason` with a space in it is a sentence that names the value, as RabbitMQ words it; otherwise a bare word. */
function oneOf(values: readonly string[], reason: string): (field: Field) => string | undefined {
  return (field) => {
    if (field.tag !== 'S') return unacceptableType(field);
    if (values.includes(field.value)) return undefined;
    return reason.includes(' ') ? `"${reason} '${field.value}'"` : reason;
  };
}

function preconditionFailed(text: string): ChannelError {
  return new ChannelError('precondition-failed', text);
}
