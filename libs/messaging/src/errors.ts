/**
 * Why a publish has no confirm.
 * - `disconnected`: no connection, or it was lost before the confirm came
 * - `nacked`: the broker refused to take responsibility (a full queue with reject-publish, a failed disk)
 * - `blocked`: the broker takes nothing now (`connection.blocked`: memory or disk alarm)
 * - `overloaded`: `UNCONFIRMED_MAX` publishes wait for their confirm already
 */
export type PublishErrorKind = 'disconnected' | 'nacked' | 'blocked' | 'overloaded';

export class PublishError extends Error {
  override readonly name = 'PublishError';

  constructor(
    readonly kind: PublishErrorKind,
    message: string,
    /** True when the bytes may have reached the broker: the message may be stored although no confirm came. */
    readonly maybeStored: boolean,
  ) {
    super(message);
  }
}

/** The broker has an exchange or queue of ours with other properties (reply code 406). Only an operator can mend it. */
export class TopologyError extends Error {
  override readonly name = 'TopologyError';
}

/** No node of `BROKER_URL` took the connection in time, or all refused the credentials. */
export class BrokerUnreachableError extends Error {
  override readonly name = 'BrokerUnreachableError';
}
