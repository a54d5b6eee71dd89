import { afterEach, describe, expect, it } from '@jest/globals';
import { type DigestMember, type Envelope } from '#dispatch';
import {
  aGroupContent,
  anAlertView,
  anEnvelope,
  type DingTalkOptions,
  type DingTalkSimulator,
  freePort,
  startDingTalkSimulator,
} from '#testing';
import { ERRCODES } from './classify.js';
import { BODY_BYTES_MAX, renderBody } from './render.js';
import { DingTalkSender } from './send.js';
import { sign } from './sign.js';
import { dingTalkTargetKind } from './target.js';

const never = new AbortController().signal;
/** As patient as any provider needs, also on a busy machine. */
const PATIENT_MS = 20_000;
/** For what must run out: long enough for the request to arrive before. */
const IMPATIENT_MS = 2_000;
const TOKEN = 'token-geheim-1';
const SECRET = 'SECgeheim2';
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

describe('dingtalk: signature', () => {
  it('is that of the provider', () => {
    const signature = sign(1_700_000_000_000, 'SECtest0123456789');
    expect(signature).toBe('yBKp5IlG6qCzcQWmgyRK/ziJBdVNJmHfFE2ST/CzT/g=');
    expect(new URLSearchParams({ signature }).toString()).toBe(
      'signature=yBKp5IlG6qCzcQWmgyRK%2FziJBdVNJmHfFE2ST%2FCzT%2Fg%3D',
    );
  });
});

describe('dingtalk: what arrives', () => {
  it('a markdown message with title, alerts and mentions, signed', async () => {
    const { robot, send } = await aRobot();
    const target = { atMobiles: ['13800000000'], atUserIds: ['zhang'] };
    expect(await send(anEnvelope('dingtalk'), target)).toMatchObject({ outcome: 'accepted', providerCode: '0' });

    const [message] = robot.messages;
    expect(message?.title).toBe('[FIRING:1] HighCPU (severity=critical)');
    expect(message?.text).toContain('cpu 97%');
    expect(message?.text).toContain('instance=web-1:9100');
    expect(message?.text).toContain('@13800000000 @zhang');
    expect(message?.body['at']).toEqual({ atMobiles: ['13800000000'], atUserIds: ['zhang'], isAtAll: false });
    expect(message?.msgUuid).toBe('ntf-1');
  });

  it('a repeat of the same notification is shown once', async () => {
    const { robot, send } = await aRobot();
    await send(anEnvelope('dingtalk'));
    expect(await send(anEnvelope('dingtalk'), {}, never, 2)).toMatchObject({ outcome: 'accepted' });
    expect(robot.messages).toHaveLength(1);
    expect(robot.counts(TOKEN).replays).toBe(1);
  });

  it('a long text is cut between code points, within the byte limit, mentions kept', async () => {
    const { robot, send } = await aRobot();
    const text = '磁盘"满\n'.repeat(20_000);
    const target = { atMobiles: ['13800000000'] };
    expect(await send(anEnvelope('dingtalk', { kind: 'text', text }), target)).toMatchObject({ outcome: 'accepted' });
    const sent = robot.messages[0]?.text ?? '';
    expect(sent).toContain('…');
    expect(sent).not.toContain('\uFFFD');
    expect(sent).toMatch(/@13800000000$/);
  });

  it.each([1, 40, 150])('a group of %i names each alert', async (count) => {
    const { robot, send } = await aRobot();
    const alerts = Array.from({ length: count }, (_, index) =>
      anAlertView({ labels: { alertname: 'HighCPU', instance: `web-${index}.` } }),
    );
    expect(await send(anEnvelope('dingtalk', aGroupContent({ alerts })))).toMatchObject({ outcome: 'accepted' });
    for (let index = 0; index < count; index++) expect(robot.messages[0]?.text).toContain(`web-${index}.`);
  });

  it('a group too large for one message tells how many it leaves out', () => {
    const alerts = Array.from({ length: 3_000 }, (_, index) => anAlertView({ labels: { alertname: `Alert${index}` } }));
    const body = renderBody(anEnvelope('dingtalk', aGroupContent({ alerts })), { token: TOKEN }, false);
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual(BODY_BYTES_MAX);
    const { text } = (JSON.parse(body) as { markdown: { text: string } }).markdown;
    const named = text.match(/Alert\d+/g)?.length ?? 0;
    expect(text).toContain(`… and ${3_000 - named} more`);
  });

  it('a digest that cannot hold names and mentions holds the names', () => {
    const covers = Array.from({ length: 1_300 }, (_, index) => ({
      id: '',
      severity: 'info' as const,
      title: `#${index} padded`,
    }));
    const atUserIds = Array.from({ length: 50 }, (_, index) => `user-${index}-`.padEnd(64, 'x'));
    const body = renderBody(anEnvelope('dingtalk', { kind: 'digest', covers }), { token: TOKEN, atUserIds }, false);
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual(BODY_BYTES_MAX);
    expect(body.match(/#\d+ padded/g)).toHaveLength(1_300);
    expect(body.includes('user-1-')).toBe(false);
  });

  it.each(['x', 'Disk of web-7 is full', '"quoted" \\ and \\ more', '磁盘已满'.repeat(30)])(
    'the largest digest of %j names every member',
    async (name) => {
      const { robot, send } = await aRobot();
      const covers: DigestMember[] = [];
      for (let bytes = 0; ; ) {
        const title = `#${covers.length} ${name}`.slice(0, 120);
        bytes += Buffer.byteLength(title) + 1;
        if (bytes > dingTalkTargetKind.digestBytesMax) break;
        covers.push({ id: `n${covers.length}`, severity: 'critical', title });
      }
      expect(await send(anEnvelope('dingtalk', { kind: 'digest', covers }))).toMatchObject({ outcome: 'accepted' });
      const { text = '', title = '' } = robot.messages[0] ?? {};
      expect(title).toContain(`[DIGEST:${covers.length}]`);
      expect(text.match(/#\d+ /g)).toHaveLength(covers.length);
    },
  );
});

describe('dingtalk: what the provider answers', () => {
  it.each([...ERRCODES])('%i: %j', async (errcode, verdict) => {
    const { robot, send } = await aRobot();
    robot.answerNext(errcode, 'told so');
    const outcome = await send(anEnvelope('dingtalk'));
    expect(outcome).toEqual({ ...verdict, providerCode: String(errcode), providerMessage: 'told so' });
  });

  it('a code nobody knows is tried again', async () => {
    const { robot, send } = await aRobot();
    robot.answerNext(987_654, 'new');
    expect(await send(anEnvelope('dingtalk'))).toMatchObject({ outcome: 'retryable', reason: 'provider-fault' });
  });

  it('a timestamp out of the hour is tried once more, then a matter of configuration', async () => {
    const { send } = await aRobot({ now: () => Date.now() + 7_200_000 });
    expect(await send(anEnvelope('dingtalk'))).toMatchObject({ outcome: 'retryable', providerCode: '310000' });
    expect(await send(anEnvelope('dingtalk'), {}, never, 2)).toMatchObject({ outcome: 'configuration' });
  });

  it('wrong token, wrong secret and a missing keyword are matters of configuration', async () => {
    const { send } = await aRobot({ robots: [{ token: TOKEN, secret: SECRET, keywords: ['never said'] }] });
    expect(await send(anEnvelope('dingtalk'), { token: 'other' })).toMatchObject({ providerCode: '300005' });
    expect(await send(anEnvelope('dingtalk'), { secret: 'other' })).toMatchObject({
      providerMessage: 'sign not match',
    });
    expect(await send(anEnvelope('dingtalk'))).toMatchObject({
      outcome: 'configuration',
      providerMessage: 'keywords not in content',
    });
  });

  it('the 21st message within a minute is rate-limited for ten minutes', async () => {
    let now = Date.now();
    const { robot, send } = await aRobot({ now: () => now });
    const sendOne = (index: number) => send(anEnvelope('dingtalk', aGroupContent(), `n${index}`));
    for (let index = 0; index < 20; index++) expect(await sendOne(index)).toMatchObject({ outcome: 'accepted' });
    expect(await sendOne(20)).toMatchObject({ outcome: 'rate-limited', blockedForMs: 600_000 });
    expect(robot.counts(TOKEN)).toMatchObject({ penalties: 1, throttled: 1 });
    now += 599_000;
    expect(await sendOne(21)).toMatchObject({ outcome: 'rate-limited' });
    now += 2_000;
    expect(await sendOne(22)).toMatchObject({ outcome: 'accepted' });
    expect(robot.messages).toHaveLength(21);
  });
});

describe('dingtalk: what the network does', () => {
  it.each([
    ['reset', 'unknown'],
    ['hang', 'unknown'],
    ['slow-body', 'unknown'],
    ['html', 'unknown'],
    ['truncated', 'unknown'],
  ] as const)('%s after the request: %s', async (fault, outcome) => {
    const isEndless = fault === 'hang' || fault === 'slow-body';
    const { robot, send } = await aRobot({}, isEndless ? IMPATIENT_MS : PATIENT_MS);
    robot.faultNext(fault);
    expect(await send(anEnvelope('dingtalk'))).toMatchObject({ outcome, reason: 'no-answer' });
    expect(robot.messages).toHaveLength(1);
  });

  it('nobody listens, or the name does not resolve: retryable', async () => {
    for (const baseUrl of [`http://127.0.0.1:${await freePort()}`, 'http://robot.invalid']) {
      const sender = new DingTalkSender({ baseUrl, timeoutMs: PATIENT_MS });
      expect(await sendWith(sender, anEnvelope('dingtalk'))).toMatchObject({ outcome: 'retryable', reason: 'network' });
    }
  });

  it('aborted after the request: unknown; before: retryable', async () => {
    const { robot, send } = await aRobot();
    robot.faultNext('hang');
    const stopping = new AbortController();
    const sending = send(anEnvelope('dingtalk'), {}, stopping.signal);
    await robot.waitForMessages(1, PATIENT_MS);
    stopping.abort();
    expect(await sending).toMatchObject({ outcome: 'unknown' });
    expect(await send(anEnvelope('dingtalk'), {}, AbortSignal.abort())).toMatchObject({
      outcome: 'retryable',
      reason: 'aborted',
    });
  });

  it('no outcome tells the token or the secret', async () => {
    const { robot, send } = await aRobot({}, IMPATIENT_MS);
    robot.answerNext(300001, `token ${TOKEN} or ${SECRET} is not exist`);
    const outcomes = [await send(anEnvelope('dingtalk'))];
    for (const fault of ['reset', 'hang', 'html'] as const) {
      robot.faultNext(fault);
      outcomes.push(await send(anEnvelope('dingtalk')));
    }
    await robot.stop();
    outcomes.push(await send(anEnvelope('dingtalk')));
    expect(JSON.stringify(outcomes)).not.toContain('geheim');
  });
});

async function aRobot(options: Partial<DingTalkOptions> = {}, timeoutMs = PATIENT_MS) {
  const robots = [{ token: TOKEN, secret: SECRET }];
  const robot: DingTalkSimulator = await startDingTalkSimulator({ robots, ...options });
  closers.push(() => robot.stop());
  const sender = new DingTalkSender({ baseUrl: robot.url, timeoutMs });
  const send = (envelope: Envelope, target = {}, signal = never, attempt = 1) =>
    sendWith(sender, envelope, target, signal, attempt);
  return { robot, send };
}

function sendWith(sender: DingTalkSender, envelope: Envelope, target = {}, signal = never, attempt = 1) {
  const request = { envelope, target: { token: TOKEN, secret: SECRET, ...target }, attempt, mayRepeat: attempt > 1 };
  return sender.send(request, signal);
}
