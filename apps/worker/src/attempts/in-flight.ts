import type { Delivery } from '#messaging';

/**
 * The attempts this process has under way, each with the deliveries that ask for it. Bounded by the prefetch of all
 * consumers together, as every entry holds at least one unsettled delivery or is about to end.
 */
export class InFlight {
  private readonly deliveries = new Map<string, Delivery[]>();
  private idle: (() => void)[] = [];

  get size(): number {
    return this.deliveries.size;
  }

  /**
   * `adopted`: this very attempt is under way here; the delivery is settled together with it. It is not acked at once: the
   * first delivery may have been lost with its connection, and then this one alone keeps the notification in the broker.
   */
  add(key: string, delivery: Delivery): 'added' | 'adopted' {
    const held = this.deliveries.get(key);
    if (held) {
      held.push(delivery);
      return 'adopted';
    }
    this.deliveries.set(key, [delivery]);
    return 'added';
  }

  /** True when no delivery holds this attempt in the broker for us any more: it will be delivered again. */
  isLost(key: string): boolean {
    return (this.deliveries.get(key) ?? []).every((delivery) => delivery.isLost);
  }

  ack(key: string): void {
    for (const delivery of this.remove(key)) delivery.ack();
  }

  handBack(key: string): void {
    for (const delivery of this.remove(key)) delivery.handBack();
  }

  handBackAll(): void {
    for (const key of [...this.deliveries.keys()]) this.handBack(key);
  }

  whenIdle(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.idle.push(resolve));
  }

  private remove(key: string): Delivery[] {
    const deliveries = this.deliveries.get(key) ?? [];
    this.deliveries.delete(key);
    if (this.size === 0) for (const resolve of this.idle.splice(0)) resolve();
    return deliveries;
  }
}
