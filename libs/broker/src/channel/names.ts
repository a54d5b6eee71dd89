/** Names of exchanges and queues lose line breaks, as RabbitMQ strips them: they would forge lines in logs. */
export function oneLine(name: string): string {
  return name.replace(/[\r\n]/g, '');
}
