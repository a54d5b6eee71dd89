/** What one attempt came to. Expected outcomes are values; a sender throws only on a bug. The classes are those of the providers' own code tables. */
export type Outcome =
  | ({ outcome: 'accepted'; providerId?: string } & Answer)
  /** Network error, provider fault or "busy": the ladder. `afterMs` when the provider named a delay. */
  | ({ outcome: 'retryable'; reason: RetryReason; afterMs?: number } & Answer)
  /** The credential, robot or number is over its limit: the budget is blocked for `blockedForMs` and the notification waits. */
  | ({ outcome: 'rate-limited'; blockedForMs: number } & Answer)
  /** This notification can never be delivered to this target: dead letter. */
  | ({ outcome: 'permanent'; reason: PermanentReason } & Answer)
  /** Wrong key, disabled robot, missing sender: dead letter, and an operator must act. */
  | ({ outcome: 'configuration'; reason: 'configuration' } & Answer)
  /** The request was written and no answer came: it may have been delivered. Repeated (marked) or given up, as the sender says. */
  | ({ outcome: 'unknown'; reason: 'no-answer' } & Answer);

export type RetryReason = 'network' | 'timeout' | 'provider-fault' | 'provider-busy' | 'aborted';
export type PermanentReason = 'recipient' | 'content' | 'refused';

/** What the provider said, verbatim, for the attempt's record. */
export interface Answer {
  providerCode?: string;
  providerMessage?: string;
}

/** Why a notification was given up. */
export type DeadReason = PermanentReason | 'configuration' | 'exhausted' | 'no-answer' | 'unparseable' | 'digest-dead';
