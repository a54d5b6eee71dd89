import { describe, expect, it } from '@jest/globals';
import { budgetLeft, NOTIFICATION_CHANNELS, type NotificationChannel, spend } from '#dispatch';
import { targetKinds } from './target-kinds.js';

const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;

const valid: [NotificationChannel, Record<string, unknown>][] = [
  ['email', { to: 'ops@example.com' }],
  ['email', { to: ['a@example.com', 'B <b@example.com>'], cc: 'c@example.com', replyTo: 'd@example.com' }],
  ['sms', { to: '+8613800000000' }],
  ['voice', { to: '+15550001234' }],
  ['wecom', { key: 'robot-key' }],
  ['wecom', { toUser: 'zhang' }],
  ['wecom', { toParty: ['1', '2'], toTag: 'oncall' }],
  ['wechat', { toUser: 'oAbCd' }],
  ['dingtalk', { token: 'robot-token' }],
  ['dingtalk', { token: 'second-robot', secret: 'SEC1', atMobiles: ['13800000000'], atUserIds: ['u'], isAtAll: false }],
  ['webhook', { url: 'https://user:pass@example.com/hook?x=1', secret, headers: { authorization: 'Bearer abc' } }],
];

const invalid: [NotificationChannel, unknown, string][] = [
  ['email', {}, 'to'],
  ['email', { to: '' }, 'to'],
  ['email', { to: 'no address' }, 'to'],
  ['email', { to: 'a@example.com\r\nBcc: b@example.com' }, 'to'],
  ['email', { to: 'a@example.com', bcc: 'x@example.com' }, 'bcc'],
  ['email', { to: 'a@example.com', cc: 7 }, 'cc'],
  ['sms', { to: '13800000000' }, 'to'],
  ['voice', { to: '+0123456789' }, 'to'],
  ['wecom', {}, 'toUser'],
  ['wecom', { key: 'k', toUser: 'zhang' }, 'toUser'],
  ['wecom', { toUser: 'a|b' }, 'toUser.0'],
  ['wechat', { openid: 'o' }, 'toUser'],
  ['dingtalk', { secret: 'SEC1' }, 'token'],
  ['dingtalk', { token: 't', atMobile: ['1'] }, 'atMobile'],
  ['webhook', { url: 'ftp://example.com' }, 'url'],
  ['webhook', { url: 'https://example.com', secret: 'whsec_c2hvcnQ=' }, 'secret'],
  ['webhook', { url: 'https://example.com', headers: { 'Webhook-Id': '1' } }, 'headers.Webhook-Id'],
  ['webhook', { url: 'https://example.com', headers: { 'x-a': 'b\r\nc' } }, 'headers.x-a'],
];

describe('target kinds', () => {
  it('exist for every built-in channel', () => {
    expect([...targetKinds.keys()].sort()).toEqual([...NOTIFICATION_CHANNELS].sort());
  });

  it.each(valid)('%s takes %j, and takes what it made of it', (channel, input) => {
    const kind = kindOf(channel);
    const parsed = kind.parse(input);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    expect(kind.parse(parsed.target)).toEqual(parsed);
    expect(kind.key(parsed.target).length).toBeLessThanOrEqual(120);
  });

  it.each(invalid)('%s refuses %j and names the field', (channel, input, field) => {
    const parsed = kindOf(channel).parse(input);
    if (parsed.ok) throw new Error('was taken');
    expect(parsed.problems.map((problem) => problem.field)).toContain(field);
  });

  it.each(NOTIFICATION_CHANNELS)('%s refuses what is no object', (channel) => {
    for (const input of [null, undefined, 'text', 7, []]) expect(kindOf(channel).parse(input).ok).toBe(false);
  });

  it.each(valid)('%s: no secret of %j shows in its key', (channel, input) => {
    const kind = kindOf(channel);
    const target = parse(channel, input);
    const key = kind.key(target);
    const budgets = JSON.stringify(kind.budgets(target));
    for (const field of kind.secretFields) {
      if (target[field] === undefined) continue;
      const value = String(
        typeof target[field] === 'object' ? Object.values(target[field] as object)[0] : target[field],
      );
      expect(key.replace(`${channel}:`, '')).not.toContain(value);
      expect(budgets.replace(`${channel}:`, '')).not.toContain(value);
    }
  });

  it('problems never repeat a value', () => {
    const parsed = kindOf('webhook').parse({ url: 'geheim://x', secret: 'geheim', headers: { 'x y': 'geheim' } });
    expect(JSON.stringify(parsed)).not.toContain('geheim');
  });

  it('gives equal targets equal keys, and other targets other keys', () => {
    expect(keyOf('email', { to: ['B@example.com', 'a@example.com'] })).toBe(
      keyOf('email', { to: 'a@example.com, Bee <b@example.com>' }),
    );
    expect(keyOf('email', { to: 'a@example.com' })).toBe('email:a@example.com');
    expect(keyOf('email', { to: 'a@example.com' })).not.toBe(
      keyOf('email', { to: 'a@example.com', cc: 'b@example.com' }),
    );
    expect(keyOf('dingtalk', { token: 'a' })).toBe(keyOf('dingtalk', { token: 'a', secret: 'SEC' }));
    expect(keyOf('dingtalk', { token: 'a' })).not.toBe(keyOf('dingtalk', { token: 'a', isAtAll: true }));
    expect(keyOf('dingtalk', { token: 'a' })).not.toBe(keyOf('dingtalk', { token: 'b' }));
    expect(keyOf('webhook', { url: 'https://h.example/1' })).not.toBe(keyOf('webhook', { url: 'https://h.example/2' }));
  });

  it('a robot with other mentions spends the same budget', () => {
    const one = kindOf('dingtalk').budgets(parse('dingtalk', { token: 'a' }));
    expect(kindOf('dingtalk').budgets(parse('dingtalk', { token: 'a', isAtAll: true }))).toEqual(one);
  });

  it('twenty messages delayed to the end of their sending time never meet a twenty-first within a minute', () => {
    const [budget] = kindOf('dingtalk').budgets({ token: 'a' });
    if (!budget) throw new Error('no budget');
    let state = { ...budget, spends: [] as number[], blockedUntil: 0 };
    const claimedAt = 1_000_000;
    for (let sent = 0; sent < budget.limit; sent++) state = spend(state, claimedAt);
    const latestArrival = claimedAt + 10_000;
    const nextClaim = claimedAt + budget.windowMs;
    expect(budgetLeft(state, nextClaim - 1)).toBe(0);
    expect(nextClaim - latestArrival).toBeGreaterThan(60_000);
  });
});

function kindOf(channel: NotificationChannel) {
  const kind = targetKinds.get(channel);
  if (!kind) throw new Error(`no target kind for ${channel}`);
  return kind;
}

function parse(channel: NotificationChannel, input: unknown): Record<string, unknown> {
  const parsed = kindOf(channel).parse(input);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.target;
}

function keyOf(channel: NotificationChannel, input: unknown): string {
  return kindOf(channel).key(parse(channel, input));
}
