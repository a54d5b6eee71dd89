/*
 * Every reply code of AMQP 0-9-1, and for each of its usual triggers a dialogue that shows it: [group, title].
 * The code must stand in RabbitMQ's record of that dialogue or, where RabbitMQ hangs up without a word, in what we declare to say.
 */
export const ERROR_TABLE: Readonly<
  Record<number, { name: string; shownBy: readonly (readonly [string, string])[] } | { name: string; unseen: string }>
> = {
  312: { name: 'NO_ROUTE', shownBy: [['publishing', 'mandatory and unroutable: it comes back']] },
  313: { name: 'NO_CONSUMERS', unseen: 'belongs to immediate, which RabbitMQ does not implement' },
  320: {
    name: 'CONNECTION_FORCED',
    shownBy: [['access', 'a user that is deleted is thrown out']],
  },
  402: { name: 'INVALID_PATH', unseen: 'RabbitMQ never sends it' },
  403: {
    name: 'ACCESS_REFUSED',
    shownBy: [
      ['connection', 'a wrong password, told to a client that understands'],
      ['access', 'without configure no queue is declared'],
      ['access', 'without read nothing is consumed, got or purged'],
      ['access', 'without write nothing is published'],
      ['access', 'a binding needs write on the queue and read on the exchange'],
      ['access', 'topic permissions say which keys are published'],
      ['exchanges', 'a name that begins with amq. is reserved'],
      ['queues', 'a name that begins with amq. is reserved'],
      ['exchanges', 'the default exchange cannot be declared'],
      ['exchanges', 'the default exchange cannot be deleted'],
      ['bindings', 'a binding to the default exchange'],
      ['exchanges', 'a predeclared exchange cannot be deleted'],
      ['exchanges', 'a publish to an internal exchange'],
      ['consuming', 'an exclusive consumer shuts others out'],
      ['single-active-consumer', 'exclusive is refused'],
    ],
  },
  404: {
    name: 'NOT_FOUND',
    shownBy: [
      ['queues', 'a passive declare of a missing queue'],
      ['exchanges', 'a passive declare of a missing exchange'],
      ['exchanges', 'a publish to a missing exchange closes the channel'],
      ['channels', 'an empty queue name where none was declared'],
      ['getting', 'a missing queue'],
      ['consuming', 'consume of a missing queue'],
      ['reply-to', 'the address cannot be found after its channel is gone'],
    ],
  },
  405: {
    name: 'RESOURCE_LOCKED',
    shownBy: [
      ...['declare', 'passive declare', 'bind', 'unbind', 'purge', 'delete', 'consume', 'get'].map(
        (what) => ['queues', `a queue exclusive to another connection: ${what}`] as const,
      ),
    ],
  },
  406: {
    name: 'PRECONDITION_FAILED',
    shownBy: [
      ['queues', 'another durable'],
      ['access', 'a limit on the queues of a virtual host'],
      ['queues', 'an argument with another value'],
      ['exchanges', 'another type'],
      ['settling', 'ack of an unknown tag'],
      ['settling', 'ack twice'],
      ['publishing', 'an expiration that is no number'],
      ['publishing', "user_id that is not the user's"],
      ['queues', 'delete if unused, with a consumer'],
      ['queues', 'delete if empty, with a message'],
      ['queue-arguments', 'x-message-ttl that is no number'],
      ['queue-arguments', 'x-max-length below 0'],
      ['bindings', 'CC that is no array'],
      ['confirms', 'tx on a channel in confirm mode'],
      ['transactions', 'commit without select'],
      ['transactions', 'a queue that rejects makes commit fail'],
      ['reply-to', 'with acks'],
      ['reply-to', 'a publish without its consumer'],
    ],
  },
  501: {
    name: 'FRAME_ERROR',
    shownBy: [
      ['frames', 'an unknown frame type'],
      ['frames', 'a frame without its end byte'],
      ['frames', 'a frame larger than frame_max'],
      ['frames', 'a method cut short'],
    ],
  },
  502: {
    name: 'SYNTAX_ERROR',
    shownBy: [
      ['connection', 'an AMQPLAIN response that is no table'],
      ['frames', 'properties cut short'],
    ],
  },
  503: {
    name: 'COMMAND_INVALID',
    shownBy: [
      ['exchanges', 'an unknown type'],
      ['connection', 'an unknown mechanism'],
      ['frames', 'an unknown method of a known class'],
    ],
  },
  504: {
    name: 'CHANNEL_ERROR',
    shownBy: [
      ['channels', 'a channel opened twice'],
      ['channels', 'a method on a channel that is not open'],
      ['connection', 'a second open'],
      ['connection', 'open before tune-ok'],
    ],
  },
  505: {
    name: 'UNEXPECTED_FRAME',
    shownBy: [
      ['frames', 'a heartbeat on channel 1'],
      ['frames', 'a header of another class than its method'],
      ['frames', 'a method where a header is due'],
      ['frames', 'a body where no content is due'],
    ],
  },
  506: {
    name: 'RESOURCE_ERROR',
    unseen: 'told of streams and of a node short of resources; nothing a client says brings it about',
  },
  530: {
    name: 'NOT_ALLOWED',
    shownBy: [
      ['connection', 'an unknown virtual host'],
      ['access', 'a virtual host in which a user has no permissions'],
      ['access', 'a limit on the connections to a virtual host'],
      ['access', 'a limit on the channels of a user'],
      ['channels', 'channel_max bounds how many are open, not their numbers'],
      ['connection', "frame_max above the server's"],
      ['consuming', 'a tag in use on the channel'],
    ],
  },
  540: {
    name: 'NOT_IMPLEMENTED',
    shownBy: [
      ['publishing', 'immediate is not implemented'],
      ['prefetch', 'prefetch_size is not implemented'],
      ['settling', 'recover without requeue is not implemented'],
      ['channels', 'flow inactive is not implemented'],
      ['quorum', 'global prefetch on it'],
    ],
  },
  541: {
    name: 'INTERNAL_ERROR',
    unseen: 'a fault of the broker; RabbitMQ says it of properties cut short, we say 502',
  },
};
