import { Controller, Get, HttpException, Inject, Param, UseGuards } from '@nestjs/common';
import { BasicAuthGuard } from './basic-auth.guard.js';
import { BROKER_STATUS, type BrokerStatus, type QueueStatus } from './broker-status.js';

const VIRTUAL_HOST = '/';

/** The first pages of RabbitMQ's management API: paths and field names as its clients know them. */
@Controller('api')
@UseGuards(BasicAuthGuard)
export class ManagementController {
  constructor(@Inject(BROKER_STATUS) private readonly status: BrokerStatus) {}

  @Get('overview')
  overview() {
    const queues = this.status.queues();
    const { connections, channels, consumers, exchanges } = this.status.totals();
    const ready = sumOf(queues, ({ ready }) => ready);
    const unacked = sumOf(queues, ({ unacked }) => unacked);
    return {
      product_name: 'Tocsin',
      queue_totals: { messages: ready + unacked, messages_ready: ready, messages_unacknowledged: unacked },
      object_totals: { connections, channels, consumers, exchanges, queues: queues.length },
      message_stats: this.status.counters(),
      message_log: this.status.log(),
    };
  }

  /** Our own: what the start found damaged in the log's files, and what was found since. docs/durability.md has the letters. */
  @Get('recovery')
  recovery() {
    const { durationMs, bytesLost, bytesCut, findingsTotal, segments, messages, findings } = this.status.recovery();
    return {
      duration_ms: durationMs,
      segments,
      messages,
      bytes_lost: bytesLost,
      bytes_cut: bytesCut,
      findings_total: findingsTotal,
      findings,
    };
  }

  @Get('queues')
  queues() {
    return this.status.queues().map(toPage);
  }

  @Get('queues/:vhost')
  queuesOf(@Param('vhost') virtualHost: string) {
    if (virtualHost !== VIRTUAL_HOST) throw notFound();
    return this.queues();
  }

  @Get('queues/:vhost/:name')
  queue(@Param('vhost') virtualHost: string, @Param('name') name: string) {
    const queue = this.status.queues().find((candidate) => candidate.name === name);
    if (virtualHost !== VIRTUAL_HOST || queue === undefined) throw notFound();
    return toPage(queue);
  }
}

function toPage({ name, ready, unacked, consumers, bytes }: QueueStatus) {
  return {
    name,
    vhost: VIRTUAL_HOST,
    messages: ready + unacked,
    messages_ready: ready,
    messages_unacknowledged: unacked,
    message_bytes: bytes,
    consumers,
  };
}

function notFound(): HttpException {
  return new HttpException({ error: 'Object Not Found', reason: 'Not Found' }, 404);
}

function sumOf(queues: readonly QueueStatus[], figure: (queue: QueueStatus) => number): number {
  return queues.reduce((sum, queue) => sum + figure(queue), 0);
}
