import { createHash } from 'node:crypto';
import type { z } from 'zod';
import type { Budget, NotificationChannel, TargetKind, TargetProblem } from '#dispatch';

export interface TargetDefinition<Target> {
  channel: NotificationChannel;
  schema: z.ZodType<Target>;
  secretFields?: readonly string[];
  /** Names the target without telling a secret; equal for equal targets. */
  identity(target: Target): string;
  budgets?(target: Target): Budget[];
  perTargetInFlight?: number;
  digestBytesMax?: number;
}

/** A TargetKind whose rules are one zod schema. `key` and `budgets` expect a parsed target with its secrets opened. */
export function defineTargetKind<Target extends object>(definition: TargetDefinition<Target>): TargetKind {
  const { channel, schema } = definition;
  return {
    channel,
    secretFields: definition.secretFields ?? [],
    perTargetInFlight: definition.perTargetInFlight ?? PER_TARGET_IN_FLIGHT,
    digestBytesMax: definition.digestBytesMax ?? 0,
    // Every channel: an alert told twice and marked so costs less than one never told.
    afterUnknown: 'resend',
    parse(input) {
      const result = schema.safeParse(input);
      if (result.success) return { ok: true, target: withoutUndefined(result.data) };
      return { ok: false, problems: result.error.issues.flatMap((issue) => problemsOf(issue)) };
    },
    key(target) {
      const key = `${channel}:${definition.identity(schema.parse(target))}`;
      return key.length <= KEY_CHARACTERS_MAX ? key : `${channel}:${fingerprintOf(key)}`;
    },
    budgets(target) {
      return definition.budgets?.(schema.parse(target)) ?? [];
    },
  };
}

const PER_TARGET_IN_FLIGHT = 5;
const KEY_CHARACTERS_MAX = 120;

/** 64 bits of SHA-256 in hex: tells secrets apart without telling them. */
export function fingerprintOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** zod messages name types, never values, so a secret cannot reach an answer through them. */
function problemsOf(issue: z.core.$ZodIssue): TargetProblem[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ field: [...path, key].join('.'), message: 'unknown field' }));
  }
  return [{ field: path.join('.'), message: issue.message }];
}

function withoutUndefined(target: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(target).filter(([, value]) => value !== undefined));
}
