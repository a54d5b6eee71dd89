/** What is used of an amqplib connection. */
interface AmqpConnection {
  close(): Promise<void>;
  once(event: 'close', listener: () => void): unknown;
}

/**
 * Closes a connection of amqplib, whose own `close` waits for ever when the connection breaks while it closes, as one to a killed
 * broker does. Rejects when it was closed before.
 */
export async function closeConnection(connection: AmqpConnection): Promise<void> {
  const isOver = new Promise<void>((resolve) => connection.once('close', () => resolve()));
  await Promise.race([connection.close(), isOver]);
}
