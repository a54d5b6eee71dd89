import { encodeAddress } from '#amqp-codec';

const NO_KEYS: readonly string[] = [];

/** Memory that several messages lie in. It stays as long as one of them does. */
export interface Chunk {
  readonly memory: ArrayBufferLike;
  slices: number;
}

/**
 * A message as the broker holds it: never changed once published and shared by every queue it went to. Its bytes are slices of what was
 * read from the socket; only `MessageMemory` replaces them, by equal bytes elsewhere.
 * `properties` are the bytes of the content header after class id, weight and body size (property flags and list), as received:
 * they go out again unchanged unless the broker must alter a header.
 */
export class Message {
  /** `MessageMemory`'s: how many queues keep it in memory, and the memory it shares with others there. */
  holders = 0;
  chunk: Chunk | undefined;

  constructor(
    readonly exchange: string,
    readonly routingKey: string,
    public properties: Buffer,
    public body: Buffer,
    /** Keys of a BCC header, which the engine took out of `properties`: consumers must not see them, dead-lettering still uses them. */
    readonly blindKeys: readonly string[] = NO_KEYS,
    /** Exchange and routing key as they travel. */
    readonly addressBytes: Buffer = encodeAddress(exchange, routingKey),
  ) {}

  /** Whether x-death among its headers is the broker's own record. */
  get vouchesForDeaths(): boolean {
    return true;
  }
}

/** A client put x-death there. Consumers see it; when the message dies, its record begins anew. */
export class MessageWithClientDeaths extends Message {
  constructor({ exchange, routingKey, properties, body, blindKeys, addressBytes }: Message) {
    super(exchange, routingKey, properties, body, blindKeys, addressBytes);
  }

  override get vouchesForDeaths(): boolean {
    return false;
  }
}
