const NO_KEYS: readonly string[] = [];

/**
 * A message as the broker holds it: immutable once published and shared by every queue it went to.
 * `properties` are the bytes of the content header after class id, weight and body size (property flags and list), as received:
 * they go out again unchanged unless the broker must alter a header.
 */
export class Message {
  constructor(
    readonly exchange: string,
    readonly routingKey: string,
    readonly properties: Buffer,
    readonly body: Buffer,
    /** Keys of a BCC header, which the engine took out of `properties`: consumers must not see them, dead-lettering still uses them. */
    readonly blindKeys: readonly string[] = NO_KEYS,
  ) {}
}
