import {
  type CallHandler,
  type ExecutionContext,
  HttpException,
  Inject,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { mergeMap, type Observable } from 'rxjs';
import type { Engine } from '#broker';
import { BROKER_ACCESS, type BrokerAccess } from './broker-access.js';

/** A disk that is full or stuck longer than this is told, instead of keeping the administrator waiting. */
const ON_DISK_MS_MAX = 10_000;
const READING = new Set(['GET', 'HEAD']);

/** What changes something is answered once it is on disk: a user, permission or virtual host that was answered survives a crash. */
@Injectable()
export class DurableAnswerInterceptor implements NestInterceptor {
  constructor(@Inject(BROKER_ACCESS) private readonly access: BrokerAccess) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { method } = context.switchToHttp().getRequest<FastifyRequest>();
    const answer: Observable<unknown> = next.handle();
    if (READING.has(method)) return answer;
    return answer.pipe(
      mergeMap(async (page) => {
        await onDisk(this.access.engine.durability);
        return page;
      }),
    );
  }
}

/** Resolves when all appended so far is on disk. */
function onDisk(durability: Engine['durability']): Promise<void> {
  const { appended } = durability;
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void) => {
      clearTimeout(timer);
      stop();
      outcome();
    };
    const look = () => {
      if (durability.durable >= appended) settle(resolve);
    };
    const timer = setTimeout(() => settle(() => reject(notYetOnDisk())), ON_DISK_MS_MAX);
    const stop = durability.onDurable(look);
    durability.requestSync();
    look();
  });
}

function notYetOnDisk(): HttpException {
  const reason = `done, but not on disk after ${ON_DISK_MS_MAX / 1000} s: a crash now would undo it. Is the disk full?`;
  return new HttpException({ error: 'not_on_disk', reason }, 503);
}
