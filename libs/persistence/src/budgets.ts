import type { Budget, BudgetState } from '#dispatch';
import type { Sql } from './sql.js';
import { BUDGETS } from './tables.js';

interface BudgetRow {
  name: string;
  spends: string;
  blocked_until: bigint;
}

/** As they stand; what was never spent or blocked is untouched. The limits are those asked with: configuration may have changed. */
export async function loadBudgets(sql: Sql, budgets: readonly Budget[]): Promise<Map<string, BudgetState>> {
  return read(sql, budgets, '');
}

/** Same, locked until the transaction ends, so that two workers never spend one budget twice. */
export async function lockBudgets(
  sql: Sql,
  budgets: readonly Budget[],
  now: number,
): Promise<Map<string, BudgetState>> {
  const { forUpdate } = sql.dialect;
  // A row that does not exist cannot be locked.
  if (forUpdate !== '')
    await sql.insert(
      BUDGETS,
      budgets.map((budget) => budgetRow(untouched(budget), now)),
      'nothing',
    );
  return read(sql, budgets, forUpdate);
}

export function writeBudgets(sql: Sql, budgets: readonly BudgetState[], now: number): Promise<void> {
  return sql.insert(
    BUDGETS,
    budgets.map((budget) => budgetRow(budget, now)),
    'update',
  );
}

/** Closes budgets, each until the later of what it has and what is asked; limits and spends stay. */
export async function blockBudgets(
  sql: Sql,
  blocks: readonly { budget: string; until: number }[],
  now: number,
): Promise<void> {
  const latest = new Map<string, number>();
  for (const { budget, until } of blocks) latest.set(budget, Math.max(until, latest.get(budget) ?? 0));
  const names = [...latest.keys()].map((name) => ({ name, windowMs: 0, limit: 0 }));
  const stored = await lockBudgets(sql, names, now);
  const rows = [...latest].map(([name, until]) => ({ name, until: Math.max(until, stored.get(name)!.blockedUntil) }));
  await sql.insert(
    BUDGETS,
    names.map((budget) => budgetRow(untouched(budget), now)),
    'nothing',
  );
  await sql.forRows(
    { name: 'text', until: 'bigint' },
    rows,
    (r) => `update budgets set blocked_until = r.until from ${r} where budgets.name = r.name returning budgets.name`,
  );
}

async function read(sql: Sql, budgets: readonly Budget[], forUpdate: string): Promise<Map<string, BudgetState>> {
  const states = new Map(budgets.map((budget) => [budget.name, untouched(budget)]));
  const rows = await sql.forIds<BudgetRow>(
    [...states.keys()].sort(),
    (r) =>
      `select name, spends, blocked_until from budgets where name in (select r.id from ${r}) order by name ${forUpdate}`,
  );
  for (const { name, spends, blocked_until } of rows) {
    const budget = states.get(name);
    if (budget !== undefined)
      states.set(name, { ...budget, spends: JSON.parse(spends), blockedUntil: Number(blocked_until) });
  }
  return states;
}

function untouched({ name, windowMs, limit }: Budget): BudgetState {
  return { name, windowMs, limit, spends: [], blockedUntil: 0 };
}

function budgetRow(budget: BudgetState, now: number) {
  return {
    name: budget.name,
    window_ms: budget.windowMs,
    spend_limit: budget.limit,
    spends: JSON.stringify(budget.spends),
    blocked_until: budget.blockedUntil,
    updated_at: now,
  };
}
