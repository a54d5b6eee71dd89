/** RabbitMQ's versions whose behaviour can be asked for. */
export type Compat = '3.13' | '4.2' | '4.3';

/** Old behaviour that a later RabbitMQ refuses unless told otherwise (`deprecated_features.permit.*`). */
export interface Permits {
  transientNonexclQueues: boolean;
  globalQos: boolean;
}

/** What differs between RabbitMQ's versions, as far as a client can tell. */
export interface Behaviour {
  /** Reported to clients, which choose their own behaviour by it. */
  readonly version: string;
  /** Smallest frame_max a client may ask for. */
  readonly frameBytesMin: number;
  /** Largest message body, unless configured. */
  readonly messageBytesMax: number;
  /** Share of the machine's memory above which publishers wait, unless configured. */
  readonly memoryShareMax: number;
  /** An exchange type nobody knows closes the connection (503) or the channel (406). */
  readonly unknownExchangeType: 'closes-connection' | 'closes-channel';
  /** Queues that are neither durable nor exclusive. */
  readonly transientQueues: 'accepted' | 'refused';
  /** basic.qos with global=1: a limit the consumers of a channel share, or taken as global=0. */
  readonly globalQos: 'shared' | 'per-consumer';
  /** x-queue-mode and version 1 of x-queue-version. */
  readonly legacyClassicArguments: 'accepted' | 'refused';
  /** Of quorum queues that set none. */
  readonly deliveryLimit: number | undefined;
  /** Whether basic.nack and basic.reject with requeue count towards the delivery limit: both, or basic.reject alone. */
  readonly nackCountsAsFailure: boolean;
  /** An unsettled delivery of which queues times out, and what that does. */
  readonly consumerTimeout: 'any-queue-closes-channel' | 'quorum-queue-takes-back';
  /** `#` words in the binding key of a topic exchange. */
  readonly topicHashesMax: number;
  /** Whether an x-death header that a client sends counts as the broker's own record. */
  readonly trustsClientDeaths: boolean;
  /** Whether a refusal says which of configure, write and read was missing. */
  readonly refusalNamesPermission: boolean;
}

const RABBITMQ_3_13: Behaviour = {
  version: '3.13.7',
  frameBytesMin: 4096,
  messageBytesMax: 128 * 2 ** 20,
  memoryShareMax: 0.4,
  unknownExchangeType: 'closes-connection',
  transientQueues: 'accepted',
  globalQos: 'shared',
  legacyClassicArguments: 'accepted',
  deliveryLimit: undefined,
  nackCountsAsFailure: true,
  consumerTimeout: 'any-queue-closes-channel',
  topicHashesMax: Number.POSITIVE_INFINITY,
  trustsClientDeaths: true,
  refusalNamesPermission: false,
};

const RABBITMQ_4_2: Behaviour = {
  ...RABBITMQ_3_13,
  version: '4.2.0',
  frameBytesMin: 8192,
  messageBytesMax: 16 * 2 ** 20,
  memoryShareMax: 0.6,
  unknownExchangeType: 'closes-channel',
  deliveryLimit: 20,
  trustsClientDeaths: false,
  refusalNamesPermission: true,
};

const RABBITMQ_4_3: Behaviour = {
  ...RABBITMQ_4_2,
  version: '4.3.5',
  transientQueues: 'refused',
  globalQos: 'per-consumer',
  legacyClassicArguments: 'refused',
  nackCountsAsFailure: false,
  consumerTimeout: 'quorum-queue-takes-back',
  topicHashesMax: 2,
};

/** Each profile is its predecessor with what changed. Everything that depends on the version is read from here. */
const BEHAVIOURS: Record<Compat, Behaviour> = {
  '3.13': RABBITMQ_3_13,
  '4.2': RABBITMQ_4_2,
  '4.3': RABBITMQ_4_3,
};

export const DEFAULT_COMPAT: Compat = '3.13';

export function behaviourOf(compat: Compat = DEFAULT_COMPAT, permits: Partial<Permits> = {}): Behaviour {
  const behaviour = BEHAVIOURS[compat];
  return {
    ...behaviour,
    transientQueues: permits.transientNonexclQueues === true ? 'accepted' : behaviour.transientQueues,
    globalQos: permits.globalQos === true ? 'shared' : behaviour.globalQos,
  };
}
