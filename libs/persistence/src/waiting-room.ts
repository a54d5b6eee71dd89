import {
  type Budget,
  budgetLeft,
  type Envelope,
  type NotificationChannel,
  type WaitingNotification,
  type WaitingTarget,
} from '#dispatch';
import { openSince } from './attempt-age.js';
import { loadBudgets } from './budgets.js';
import { severityOf } from './notification-row.js';
import type { Sql } from './sql.js';

/** Targets looked at in one call. Where more wait, the next call goes on behind them, so each has its turn. */
const TARGETS_MAX = 200;

/** Waiting, and not yet taken into a digest. */
const IS_WAITING = "status = 'waiting' and via is null";

export class WaitingRoom {
  /** The last target looked at; the next call starts behind it. */
  private behind = '';

  async targets(sql: Sql, now: number, perTargetMax: number): Promise<WaitingTarget[]> {
    const targets = await this.nextTargets(sql);
    if (targets.length === 0) return [];

    const keys = targets.map(({ target_key }) => target_key);
    const [waiting, inFlight] = [await this.waiting(sql, keys, perTargetMax), await sendsUnderWay(sql, keys, now)];
    const budgets = await this.budgets(sql, [...waiting.values()].flat(), now);
    return targets.map(({ target_key, channel, total }) => ({
      targetKey: target_key,
      channel: channel as NotificationChannel,
      budgets: budgets.get(target_key) ?? [],
      inFlight: inFlight.get(target_key) ?? 0,
      total: Number(total),
      waiting: (waiting.get(target_key) ?? []).map(({ notification }) => notification),
    }));
  }

  private async nextTargets(sql: Sql): Promise<TargetRow[]> {
    const from = (after: string) =>
      sql.query<TargetRow>(
        `select target_key, min(channel) as channel, count(*) as total from notifications
          where ${IS_WAITING} and target_key > $1 group by target_key order by target_key limit ${TARGETS_MAX}`,
        after,
      );
    const rest = await from(this.behind);
    const targets = rest.length > 0 || this.behind === '' ? rest : await from('');
    this.behind = targets.length === TARGETS_MAX ? targets.at(-1)!.target_key : '';
    return targets;
  }

  private async waiting(sql: Sql, keys: readonly string[], perTargetMax: number): Promise<Map<string, WaitingEntry[]>> {
    const byTarget = new Map<string, WaitingEntry[]>();
    // One statement each: its limit is kept by walking the index, where one statement for all would count through everybody.
    for (const targetKey of keys) {
      const rows = await sql.query<WaitingRow>(
        `select id, channel, target_key, severity, waiting_since, waiting_until, next_attempt, budgets, envelope
          from notifications where ${IS_WAITING} and target_key = $1 order by severity, waiting_since limit $2`,
        targetKey,
        perTargetMax,
      );
      byTarget.set(
        targetKey,
        rows.map((row) => ({ notification: waitingOf(row), budgets: JSON.parse(row.budgets) })),
      );
    }
    return byTarget;
  }

  /** A target's budgets are those its newest claim named, with what is left of them now. */
  private async budgets(
    sql: Sql,
    entries: readonly WaitingEntry[],
    now: number,
  ): Promise<Map<string, WaitingTarget['budgets']>> {
    const byTarget = new Map(entries.map(({ notification, budgets }) => [notification.targetKey, budgets]));
    const stored = await loadBudgets(sql, [...byTarget.values()].flat());
    const standing = (budget: Budget) => {
      const state = { ...stored.get(budget.name)!, ...budget };
      return { ...budget, left: Math.max(0, budgetLeft(state, now)), blockedUntil: state.blockedUntil };
    };
    return new Map([...byTarget].map(([targetKey, budgets]) => [targetKey, budgets.map(standing)]));
  }
}

/** Claimed attempts without outcome, by target. */
export async function sendsUnderWay(sql: Sql, targetKeys: Iterable<string>, now: number): Promise<Map<string, number>> {
  const since = openSince(now);
  // As a column, not in the text: a statement whose text changes is prepared anew.
  const asked = [...new Set(targetKeys)].map((id) => ({ id, since }));
  const rows = await sql.forRows<{ target_key: string; sends: bigint }>(
    { id: 'text', since: 'bigint' },
    asked,
    (r) => `select target_key, count(*) as sends from ${r} join attempts on target_key = r.id
      where ended_at is null and claimed_at > r.since group by target_key`,
  );
  return new Map(rows.map(({ target_key, sends }) => [target_key, Number(sends)]));
}

/** Those of the targets that have anybody waiting. */
export async function crowdedTargets(sql: Sql, targetKeys: Iterable<string>): Promise<Set<string>> {
  const rows = await sql.forIds<{ id: string }>(
    targetKeys,
    (r) => `select r.id from ${r} where exists (select 1 from notifications where ${IS_WAITING} and target_key = r.id)`,
  );
  return new Set(rows.map(({ id }) => id));
}

interface TargetRow {
  target_key: string;
  channel: string;
  total: bigint;
}

interface WaitingRow {
  id: string;
  channel: string;
  target_key: string;
  severity: number;
  waiting_since: bigint;
  waiting_until: bigint;
  next_attempt: number;
  budgets: string;
  envelope: string;
}

interface WaitingEntry {
  notification: WaitingNotification;
  budgets: Budget[];
}

function waitingOf(row: WaitingRow): WaitingNotification {
  let envelope: Envelope | undefined;
  return {
    id: row.id,
    channel: row.channel as NotificationChannel,
    targetKey: row.target_key,
    severity: severityOf(row.severity),
    waitingSince: Number(row.waiting_since),
    waitingUntil: Number(row.waiting_until),
    nextAttempt: Number(row.next_attempt),
    /** Of most only the place in the order is asked. */
    get envelope() {
      envelope ??= JSON.parse(row.envelope) as Envelope;
      return envelope;
    },
  };
}
