/**
 * What is wrong with the bytes: `syntax` a table or property that cannot be read (reply 502), `frame` the frame itself:
 * end byte, size, a method that does not fit it (501), `unknown-method` a class or method number nobody defined (503).
 */
export type CodecErrorKind = 'syntax' | 'frame' | 'unknown-method';

export class CodecError extends Error {
  constructor(
    readonly kind: CodecErrorKind,
    message: string,
  ) {
    super(message);
  }
}
