import { CodecError, type CodecErrorKind, encodeTextInto, type MethodArguments, textBytes } from '#amqp-codec';
import { ChannelError, ConnectionError, REPLY_CODES, type ReplyName } from '../errors.js';

export interface Close {
  scope: 'channel' | 'connection';
  args: MethodArguments<'connection.close'>;
  /** A fault of ours rather than of the client: worth a log line with its stack. */
  isInternal: boolean;
}

const CODEC_REPLIES: Record<CodecErrorKind, ReplyName> = {
  syntax: 'syntax-error',
  frame: 'frame-error',
  'unknown-method': 'command-invalid',
};

/** The one place that decides what an error closes. `methodKey` is the offending method's class and number, 0 for none. */
export function toClose(error: unknown, methodKey: number): Close {
  if (error instanceof ChannelError) return closeWith('channel', error.reply, error.text, methodKey);
  if (error instanceof ConnectionError) return closeWith('connection', error.reply, error.text, methodKey);
  if (error instanceof CodecError) return closeWith('connection', CODEC_REPLIES[error.kind], error.message, methodKey);
  return {
    ...closeWith('connection', 'internal-error', 'the broker made a mistake; see its log', methodKey),
    isInternal: true,
  };
}

function closeWith(scope: Close['scope'], reply: ReplyName, text: string, methodKey: number): Close {
  const [replyCode, name] = REPLY_CODES[reply];
  return {
    scope,
    args: {
      replyCode,
      replyText: cutText(`${name} - ${text}`),
      classId: methodKey >>> 16,
      methodId: methodKey & 0xffff,
    },
    isInternal: false,
  };
}

const SHORT_STRING_BYTES_MAX = 255;

/** Cut to what a short string holds, between two characters. */
export function cutText(text: string): string {
  if (textBytes(text) <= SHORT_STRING_BYTES_MAX) return text;
  const bytes = Buffer.alloc(textBytes(text));
  encodeTextInto(bytes, 0, text);
  let end = SHORT_STRING_BYTES_MAX;
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
