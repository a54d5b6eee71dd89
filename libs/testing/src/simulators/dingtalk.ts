import { createHmac } from 'node:crypto';
import { Arrivals } from '../arrivals.js';
import { type HttpAnswer, type HttpFault, type HttpRequest, HttpSimulator } from './http-simulator.js';

export interface DingTalkRobot {
  token: string;
  /** `SEC...`: requests must be signed. */
  secret?: string;
  /** One of them must occur in the content. */
  keywords?: string[];
}

export interface DingTalkOptions {
  /** 0 or unset: a free port. */
  port?: number;
  robots: DingTalkRobot[];
  /** Milliseconds since the epoch; a test may move it. */
  now?: () => number;
}

export interface DingTalkMessage {
  token: string;
  at: number;
  title: string;
  text: string;
  msgUuid: string | undefined;
  body: Record<string, unknown>;
}

/** What happened to one robot, beyond its messages. */
export interface DingTalkCounts {
  /** Ten-minute blocks begun: the 21st message inside a minute. */
  penalties: number;
  /** Requests answered 130101 while blocked, the one that began the block included. */
  throttled: number;
  /** Answered ok without a second message: the msgUuid was known. */
  replays: number;
}

/**
 * DingTalk's group robots (`POST /robot/send`) on 127.0.0.1: signature, timestamp, keywords, 20 a minute with the ten-minute block, byte limit, msgUuid.
 * The HTTP status is always 200; `errcode` tells. The caller stops it.
 */
export interface DingTalkSimulator {
  readonly port: number;
  /** `http://127.0.0.1:<port>`, to be the sender's baseUrl. */
  readonly url: string;
  readonly messages: DingTalkMessage[];
  counts(token: string): DingTalkCounts;
  /** The next answers are these, whatever was asked; nothing is taken. */
  answerNext(errcode: number, errmsg: string): void;
  /** The next answers go wrong on the wire; a valid message is taken nevertheless. */
  faultNext(...faults: HttpFault[]): void;
  waitForMessages(count: number, timeoutMs: number): Promise<DingTalkMessage[]>;
  waitUntil(
    isEnough: (messages: readonly DingTalkMessage[]) => boolean,
    timeoutMs: number,
    what: string,
  ): Promise<DingTalkMessage[]>;
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function startDingTalkSimulator(options: DingTalkOptions): Promise<DingTalkSimulator> {
  const simulator = new RobotServer(options);
  await simulator.start();
  return simulator;
}

export const DINGTALK_MESSAGES_PER_MINUTE = 20;
export const DINGTALK_BLOCK_MS = 600_000;
export const DINGTALK_BODY_BYTES_MAX = 20_000;
const MINUTE_MS = 60_000;
const TIMESTAMP_SKEW_MS_MAX = 3_600_000;

interface RobotState extends DingTalkCounts {
  robot: DingTalkRobot;
  /** Instants of the requests counted inside the last minute. */
  requests: number[];
  blockedUntil: number;
  uuids: Set<string>;
}

class RobotServer implements DingTalkSimulator {
  readonly #http: HttpSimulator;
  readonly #arrivals = new Arrivals<DingTalkMessage>('DingTalk messages');
  readonly #robots: Map<string, RobotState>;
  readonly #now: () => number;
  #answers: DingTalkAnswer[] = [];

  constructor(options: DingTalkOptions) {
    this.#http = new HttpSimulator(options.port ?? 0, (request) => toHttp(this.#answer(request)));
    this.#now = options.now ?? Date.now;
    this.#robots = new Map(options.robots.map((robot) => [robot.token, newState(robot)]));
  }

  get port(): number {
    return this.#http.port;
  }

  get url(): string {
    return this.#http.url;
  }

  get messages(): DingTalkMessage[] {
    return this.#arrivals.items;
  }

  counts(token: string): DingTalkCounts {
    const state = this.#robots.get(token);
    if (!state) throw new Error(`no robot with token '${token}' in this simulator`);

    return { penalties: state.penalties, throttled: state.throttled, replays: state.replays };
  }

  answerNext(errcode: number, errmsg: string): void {
    this.#answers.push({ errcode, errmsg });
  }

  faultNext(...faults: HttpFault[]): void {
    this.#http.faultNext(...faults);
  }

  waitForMessages(count: number, timeoutMs: number): Promise<DingTalkMessage[]> {
    return this.#arrivals.waitForCount(count, timeoutMs);
  }

  waitUntil(
    isEnough: (messages: readonly DingTalkMessage[]) => boolean,
    timeoutMs: number,
    what: string,
  ): Promise<DingTalkMessage[]> {
    return this.#arrivals.waitUntil(isEnough, timeoutMs, what);
  }

  start(): Promise<void> {
    return this.#http.start();
  }

  stop(): Promise<void> {
    return this.#http.stop();
  }

  #answer(request: HttpRequest): DingTalkAnswer {
    const told = this.#answers.shift();
    if (told) return told;

    if (request.path !== '/robot/send') return { errcode: 404, errmsg: 'unknown path' };
    if (request.method !== 'POST') return { errcode: 43002, errmsg: 'must be POST' };
    if (!/^application\/json/i.test(request.headers['content-type'] ?? '')) {
      return { errcode: 43004, errmsg: 'Content-Type must be application/json' };
    }
    const state = this.#robots.get(request.query.get('access_token') ?? '');
    if (!state) return { errcode: 300005, errmsg: 'token is not exist' };

    const now = this.#now();
    return this.#throttle(state, now) ?? this.#take(request, state, now);
  }

  #throttle(state: RobotState, now: number): DingTalkAnswer | undefined {
    state.requests = state.requests.filter((at) => at > now - MINUTE_MS);
    const isBlocked = now < state.blockedUntil;
    if (!isBlocked && state.requests.length < DINGTALK_MESSAGES_PER_MINUTE) {
      state.requests.push(now);
      return undefined;
    }
    if (!isBlocked) {
      state.blockedUntil = now + DINGTALK_BLOCK_MS;
      state.penalties += 1;
    }
    state.throttled += 1;
    return { errcode: 130101, errmsg: 'send too fast, exceed 20 times per minute' };
  }

  #take(request: HttpRequest, state: RobotState, now: number): DingTalkAnswer {
    const unsafe = securityProblem(request, state.robot, now);
    if (unsafe) return { errcode: 310000, errmsg: unsafe };
    if (Buffer.byteLength(request.body) > DINGTALK_BODY_BYTES_MAX)
      return { errcode: 460101, errmsg: 'message too long' };

    const message = parseMessage(request.body, state.robot.token, now);
    if ('errcode' in message) return message;
    if (!hasKeyword(message, state.robot)) return { errcode: 310000, errmsg: 'keywords not in content' };

    if (message.msgUuid !== undefined && state.uuids.has(message.msgUuid)) {
      state.replays += 1;
      return OK;
    }
    if (message.msgUuid !== undefined) state.uuids.add(message.msgUuid);
    this.#arrivals.add(message);
    return OK;
  }
}

interface DingTalkAnswer {
  errcode: number;
  errmsg: string;
}

const OK: DingTalkAnswer = { errcode: 0, errmsg: 'ok' };

function newState(robot: DingTalkRobot): RobotState {
  return { robot, requests: [], blockedUntil: 0, uuids: new Set(), penalties: 0, throttled: 0, replays: 0 };
}

function toHttp(answer: DingTalkAnswer): HttpAnswer {
  return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(answer) };
}

function securityProblem(request: HttpRequest, robot: DingTalkRobot, now: number): string | undefined {
  if (robot.secret === undefined) return undefined;

  const timestamp = request.query.get('timestamp') ?? '';
  if (!(Math.abs(now - Number(timestamp)) <= TIMESTAMP_SKEW_MS_MAX)) return 'invalid timestamp';

  const expected = createHmac('sha256', robot.secret).update(`${timestamp}\n${robot.secret}`).digest('base64');
  return request.query.get('sign') === expected ? undefined : 'sign not match';
}

function parseMessage(json: string, token: string, at: number): DingTalkMessage | DingTalkAnswer {
  let body: unknown;
  try {
    body = JSON.parse(json);
  } catch {
    return { errcode: 40035, errmsg: '缺少参数 json' };
  }
  if (!isRecord(body)) return { errcode: 40035, errmsg: '缺少参数 json' };

  const msgUuid = typeof body['msgUuid'] === 'string' ? body['msgUuid'] : undefined;
  const content = body[String(body['msgtype'])];
  if (body['msgtype'] === 'markdown' && isRecord(content)) {
    const { title, text } = content;
    if (typeof title !== 'string' || typeof text !== 'string' || title === '' || text === '') {
      return { errcode: 40035, errmsg: '缺少参数 markdown' };
    }
    return { token, at, title, text, msgUuid, body };
  }
  if (body['msgtype'] === 'text' && isRecord(content) && typeof content['content'] === 'string') {
    return { token, at, title: '', text: content['content'], msgUuid, body };
  }
  return { errcode: 400105, errmsg: 'msgtype is not supported' };
}

function hasKeyword(message: DingTalkMessage, robot: DingTalkRobot): boolean {
  const content = `${message.title}\n${message.text}`;
  return robot.keywords === undefined || robot.keywords.some((keyword) => content.includes(keyword));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
