import type { FastifyInstance, FastifyRequest } from 'fastify';
import { DISPATCH_QUEUE } from '#messaging';
import type { RouteMarks } from '../access/access.js';
import type { ApiParts } from '../api-parts.js';
import { BODY_BYTES_MAX } from '../body/json-body.js';
import { sendProblem } from '../problem/problem.filter.js';
import { Problem } from '../problem/problem.js';

/** Intake requests under way: being read, or waiting for their confirm. */
export const INTAKE_REQUESTS_MAX = 1_000;
/** Bytes of the bodies of those requests. */
export const INTAKE_BYTES_MAX = 256 * 1024 * 1024;
const DEPTH_INTERVAL_MS = 1_000;
const RETRY_AFTER_S = 5;

/**
 * Decides whether the service takes more in: the depth of `dispatch`, asked once a second, the broker's state, and what is under way.
 * Owns a timer; closed by the module.
 */
export class Load {
  private depth = 0;
  private requests = 0;
  private bytes = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly parts: Pick<ApiParts, 'messaging' | 'settings' | 'metrics'>) {
    parts.metrics.read('dispatch_queue_depth', () => this.depth);
    parts.metrics.read('ingest_in_flight', () => this.requests);
  }

  start(): void {
    this.timer = setInterval(() => void this.look(), DEPTH_INTERVAL_MS);
    this.timer.unref();
    void this.look();
  }

  close(): void {
    clearInterval(this.timer);
  }

  /** Asks for the depth now. Unknown (no connection) leaves the last answer: a publish will say more. */
  async look(): Promise<void> {
    this.depth = (await this.parts.messaging.queueDepth(DISPATCH_QUEUE)) ?? this.depth;
  }

  /** Refuses intake before its body is read, and counts what is let in until it is answered. */
  guard(server: FastifyInstance): void {
    const reserved = new WeakMap<FastifyRequest, number>();
    server.addHook('onRequest', async (request, reply) => {
      if (!(request.routeOptions.config as RouteMarks).isIntake) return;
      const bytes = announcedBytes(request);
      const problem = this.admit(bytes);
      if (problem) {
        this.parts.metrics.add('ingest_refused_total', { reason: problem.kind });
        sendProblem(problem, request, reply);
        return reply;
      }
      reserved.set(request, bytes);
    });
    const answered = async (request: FastifyRequest) => {
      const bytes = reserved.get(request);
      if (bytes !== undefined && reserved.delete(request)) this.release(bytes);
    };
    server.addHook('onResponse', answered);
    server.addHook('onRequestAbort', answered);
  }

  /** Counts a request whose body has `bytes` until it is released, or answers why it must be refused. */
  admit(bytes: number): Problem | undefined {
    const problem = this.refusal(bytes);
    if (problem) return problem;
    this.requests += 1;
    this.bytes += bytes;
    return undefined;
  }

  release(bytes: number): void {
    this.requests -= 1;
    this.bytes -= bytes;
  }

  private refusal(bytes: number): Problem | undefined {
    const { messaging, settings } = this.parts;
    const { dispatchLagMax } = settings.configuration;
    if (!messaging.isConnected) return unavailable('there is no connection to the broker');
    if (messaging.isBlocked) return unavailable('the broker takes no messages (its memory or disk alarm is on)');
    if (this.depth > dispatchLagMax) {
      return overloaded(`${this.depth} messages wait for the dispatcher, more than dispatchLagMax (${dispatchLagMax})`);
    }
    if (this.requests >= INTAKE_REQUESTS_MAX || this.bytes + bytes > INTAKE_BYTES_MAX) {
      return overloaded('too many requests wait for the broker');
    }
    return undefined;
  }
}

/** A chunked body may become as large as any. */
function announcedBytes(request: FastifyRequest): number {
  const announced = Number(request.headers['content-length'] ?? BODY_BYTES_MAX);
  return Math.min(Number.isFinite(announced) ? announced : BODY_BYTES_MAX, BODY_BYTES_MAX);
}

export function overloaded(why: string): Problem {
  return new Problem('overloaded', { detail: `${why}; try again later`, retryAfter: RETRY_AFTER_S });
}

export function unavailable(why: string): Problem {
  return new Problem('broker-unavailable', { detail: `${why}; try again later`, retryAfter: RETRY_AFTER_S });
}
