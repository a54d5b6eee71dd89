/** Reply codes of AMQP 0-9-1 as RabbitMQ uses them: [code, name]. */
export const REPLY_CODES = {
  'no-route': [312, 'NO_ROUTE'],
  'connection-forced': [320, 'CONNECTION_FORCED'],
  'access-refused': [403, 'ACCESS_REFUSED'],
  'not-found': [404, 'NOT_FOUND'],
  'resource-locked': [405, 'RESOURCE_LOCKED'],
  'precondition-failed': [406, 'PRECONDITION_FAILED'],
  'frame-error': [501, 'FRAME_ERROR'],
  'syntax-error': [502, 'SYNTAX_ERROR'],
  'command-invalid': [503, 'COMMAND_INVALID'],
  'channel-error': [504, 'CHANNEL_ERROR'],
  'unexpected-frame': [505, 'UNEXPECTED_FRAME'],
  'resource-error': [506, 'RESOURCE_ERROR'],
  'not-allowed': [530, 'NOT_ALLOWED'],
  'not-implemented': [540, 'NOT_IMPLEMENTED'],
  'internal-error': [541, 'INTERNAL_ERROR'],
} as const;

export type ReplyName = keyof typeof REPLY_CODES;

/** A soft error: closes the channel it happened on (channel.close). `text` follows "NAME - " on the wire. */
export class ChannelError extends Error {
  constructor(
    readonly reply: ReplyName,
    readonly text: string,
  ) {
    super(`${REPLY_CODES[reply][1]} - ${text}`);
  }
}

/** A hard error: closes the connection (connection.close). */
export class ConnectionError extends Error {
  constructor(
    readonly reply: ReplyName,
    readonly text: string,
  ) {
    super(`${REPLY_CODES[reply][1]} - ${text}`);
  }
}
