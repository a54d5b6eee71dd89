import { describe, expect, it } from '@jest/globals';
import { Health } from './health.js';
import { createLogger } from './logger.js';
import { Metrics } from './metrics.js';
import { NestLogger } from './nest-logger.js';

function logged(write: (logger: ReturnType<typeof createLogger>) => void, secrets: string[] = []) {
  const lines: string[] = [];
  write(createLogger({ name: 'api', level: 'trace', secrets, stream: { write: (line) => lines.push(line) } }));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('the log', () => {
  it.each([
    [
      'a field with a secret name',
      { target: { token: 'abc', accessToken: 'abc', to: 'ops' } },
      { target: { token: '***', accessToken: '***', to: 'ops' } },
    ],
    ['a header', { headers: { authorization: 'Bearer abc' } }, { headers: { authorization: '***' } }],
    ['a password in a URL', { url: 'amqp://guest:guest@localhost:5672' }, { url: 'amqp://guest:***@localhost:5672' }],
    [
      'a token in a query',
      { url: 'https://oapi/robot/send?access_token=abc&sign=d%3D' },
      { url: 'https://oapi/robot/send?access_token=***&sign=***' },
    ],
    ['a known secret anywhere', { text: 'posted with s3cret-value' }, { text: 'posted with ***' }],
    ['a buffer', { body: Buffer.from('abc') }, { body: '[3 bytes]' }],
  ])('hides %s', (_name, fields, shown) => {
    const [line] = logged((logger) => logger.info(fields, 'x'), ['s3cret-value']);
    expect(line).toMatchObject(shown);
  });

  it('hides secrets in the text, in errors and in bindings of children', () => {
    const lines = logged((logger) => {
      logger.error(
        { err: new Error('connect amqp://u:pw@host refused', { cause: new Error('token=abc') }) },
        'at amqp://u:pw@host',
      );
      logger.child({ token: 'abc' }).info('x');
    }, []);
    expect(JSON.stringify(lines)).not.toMatch(/pw|abc/);
    expect(lines[0]).toMatchObject({
      level: 'error',
      process: 'api',
      err: { type: 'Error', cause: { message: 'token=***' } },
    });
  });

  it('takes the lines of Nest, with their context', () => {
    const lines = logged((logger) => new NestLogger(logger).error('broken', 'stack', 'Router'));
    expect(lines[0]).toMatchObject({ level: 'error', msg: 'broken', context: 'Router', details: ['stack'] });
  });
});

describe('metrics', () => {
  it('are exported under tocsin_, two registries side by side', async () => {
    const [one, other] = [new Metrics({ withProcess: false }), new Metrics({ withProcess: false })];
    one.add('ingest_alerts_total', { source: 'api' }, 3);
    one.read('dispatch_queue_depth', () => 7);
    one.observe('ingest_confirm_seconds', {}, 0.002);
    expect(await one.text()).toMatch(
      /tocsin_ingest_alerts_total\{source="api"\} 3[\s\S]*tocsin_dispatch_queue_depth 7/,
    );
    expect(await other.text()).not.toContain('source="api"');
  });
});

describe('health', () => {
  it('is ready when every check passes', async () => {
    const health = new Health();
    health.addAlive('process', () => undefined);
    health.addReady('broker', async () => undefined);
    expect(await health.checkReady()).toMatchObject({
      isHealthy: true,
      checks: [{ name: 'process' }, { name: 'broker' }],
    });
  });

  it('names the check that fails, or does not answer in time', async () => {
    const health = new Health();
    health.addReady('broker', () => Promise.reject(new Error('not connected')));
    health.addReady('database', () => new Promise(() => undefined), 5);
    const { isHealthy, checks } = await health.checkReady();
    expect(isHealthy).toBe(false);
    expect(checks).toMatchObject([
      { name: 'broker', isHealthy: false, detail: 'not connected' },
      { name: 'database', isHealthy: false, detail: 'no answer within 5 ms' },
    ]);
    expect((await health.checkAlive()).isHealthy).toBe(true);
  });
});
