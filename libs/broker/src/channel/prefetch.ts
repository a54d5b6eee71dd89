/**
 * basic.qos of one channel, RabbitMQ's meaning: with global=0 the limit of each consumer started later, and the end of a
 * limit of the channel's; with global=1 a limit all consumers of the channel share, which takes effect at once and holds
 * beside those they were started with. 0 is unlimited.
 * https://www.rabbitmq.com/docs/consumer-prefetch
 */
export class Prefetch {
  /** For consumers started from now on. */
  perConsumer = 0;
  /** For the channel as a whole. */
  shared = 0;
  /** Unsettled deliveries of all consumers of the channel; those of basic.get do not count. */
  sharedUnacked = 0;

  get hasSharedRoom(): boolean {
    return this.shared === 0 || this.sharedUnacked < this.shared;
  }
}
