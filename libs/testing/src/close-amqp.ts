/** What is used of a connection or a channel of amqplib. */
interface AmqpPart {
  close(): Promise<void>;
  once(event: 'close', listener: () => void): unknown;
}

/**
 * Closes a connection or a channel of amqplib, whose own `close` waits for ever when the connection breaks while it closes, as one to a
 * killed broker does. Rejects when it was closed before.
 */
export async function closeAmqp(part: AmqpPart): Promise<void> {
  const isOver = new Promise<void>((resolve) => part.once('close', () => resolve()));
  await Promise.race([part.close(), isOver]);
}
