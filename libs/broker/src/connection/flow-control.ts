import type { ConsumerBias } from '../consumer-bias.js';
import type { DurabilityWatch } from '../durability-watch.js';
import type { Intake } from './intake.js';

/** Unsynced bytes of the log at which publishers stop being read; they go on below half. */
export const UNSYNCED_BYTES_MAX = 16 * 1024 * 1024;
/** Here nobody is read any more, whatever it sends: acknowledgements and declarations too wait for a disk that is full. */
export const UNSYNCED_BYTES_HARD_MAX = 2 * UNSYNCED_BYTES_MAX;

/** The connection whose publishing is held back. */
export interface HeldConnection {
  /** False before it is open, and from its closing on: then no alarm holds it. */
  readonly mayBeBlocked: boolean;
  /** `connection.blocked`, to a client that understands it. Returns whether it was told. */
  tellBlocked(reason: string): boolean;
  tellUnblocked(): void;
  /** `onDurable` is due after the next sync. */
  awaitDurable(): void;
}

/**
 * Holds a publisher back by not reading its socket: while the log has not caught up (`flow`), while
 * consumers that it ran away from have their turn (`consumers`), and while the broker is short of memory or disk (`alarm`), from its
 * next publish on.
 */
export class FlowControl {
  #wasToldBlocked = false;
  /** Held for the log because of what it published. */
  #heldPublish = false;

  constructor(
    private readonly connection: HeldConnection,
    private readonly intake: Intake,
    private readonly broker: {
      readonly watch: DurabilityWatch;
      readonly consumerBias: ConsumerBias;
      readonly alarm: string | undefined;
    },
  ) {}

  get state(): 'running' | 'flow' | 'blocked' {
    if (this.intake.isHeldFor('alarm')) return 'blocked';
    return this.intake.isHeldFor('flow') ? 'flow' : 'running';
  }

  onPublished(): void {
    const { alarm, watch } = this.broker;
    if (alarm !== undefined) this.#block(alarm);
    if (watch.durability.unsyncedBytes <= UNSYNCED_BYTES_MAX) return;
    this.#heldPublish = true;
    this.#holdForLog();
  }

  /** Everything that came in one read was worked on. */
  onEndOfRead(): void {
    if (this.broker.watch.durability.unsyncedBytes > UNSYNCED_BYTES_HARD_MAX) this.#holdForLog();
    this.#giveWay();
  }

  /** The log has caught up a little. Returns whether the connection still has to wait for it. */
  onDurable(): boolean {
    if (!this.intake.isHeldFor('flow')) return false;
    const { durability } = this.broker.watch;
    if (durability.unsyncedBytes > UNSYNCED_BYTES_MAX / 2) {
      durability.requestSync();
      return true;
    }
    this.#heldPublish = false;
    this.intake.release('flow');
    return false;
  }

  /** The broker's alarm came or went. When it comes, a connection is blocked at its next publish. */
  onAlarm(): void {
    const { alarm } = this.broker;
    if (alarm !== undefined) {
      // Its next publish is not read before the log has caught up, which with a full disk may be long.
      if (this.#heldPublish) this.#block(alarm);
      return;
    }
    if (this.#wasToldBlocked) this.connection.tellUnblocked();
    this.#wasToldBlocked = false;
    this.intake.release('alarm');
  }

  /** The connection is closing: its client must be heard again. */
  stop(): void {
    this.intake.release('flow');
    this.intake.release('consumers');
    this.intake.release('alarm');
  }

  #holdForLog(): void {
    if (this.intake.isHeldFor('flow')) return;
    this.intake.hold('flow');
    this.broker.watch.durability.requestSync();
    this.connection.awaitDurable();
  }

  #giveWay(): void {
    const { consumerBias } = this.broker;
    const overtaken = consumerBias.takeOvertaken();
    if (overtaken === 0 || this.intake.isHeldFor('consumers')) return;
    this.intake.hold('consumers');
    consumerBias.giveWay(overtaken, () => this.intake.release('consumers'));
  }

  #block(reason: string): void {
    if (!this.connection.mayBeBlocked || this.intake.isHeldFor('alarm')) return;
    this.intake.hold('alarm');
    if (this.connection.tellBlocked(reason)) this.#wasToldBlocked = true;
  }
}
