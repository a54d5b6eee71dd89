/** A provider's rate limit for one robot, account, number or recipient: at most `limit` sends in any `windowMs`. */
export interface Budget {
  name: string;
  windowMs: number;
  limit: number;
}

/** A budget as stored: `spends` are the instants (ms) inside the window, at most `limit` of them. */
export interface BudgetState extends Budget {
  spends: number[];
  blockedUntil: number;
}

/** Spends left at `now`. Exact for a sliding window, so it never exceeds a fixed one either. */
export function budgetLeft(budget: BudgetState, now: number): number {
  if (now < budget.blockedUntil) return 0;
  return budget.limit - budget.spends.filter((at) => at > now - budget.windowMs).length;
}

/** The budget after one spend at `now`; spends that left the window are forgotten. */
export function spend(budget: BudgetState, now: number): BudgetState {
  const spends = budget.spends.filter((at) => at > now - budget.windowMs);
  return { ...budget, spends: [...spends, now] };
}
