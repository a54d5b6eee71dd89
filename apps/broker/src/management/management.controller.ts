import { Controller, Get, HttpException, Inject, Param, UseGuards } from '@nestjs/common';
import { notFound } from './answers.js';
import { BasicAuthGuard } from './basic-auth.guard.js';
import { BROKER_ACCESS, type BrokerAccess } from './broker-access.js';
import { BROKER_STATUS, type BrokerStatus, type QueueStatus } from './broker-status.js';
import { Asked, isAdministrator, type Visitor } from './visitor.js';

/** The first pages of RabbitMQ's management API: paths and field names as its clients know them. */
@Controller('api')
@UseGuards(BasicAuthGuard)
export class ManagementController {
  constructor(
    @Inject(BROKER_STATUS) private readonly status: BrokerStatus,
    @Inject(BROKER_ACCESS) private readonly access: BrokerAccess,
  ) {}

  @Get('whoami')
  whoAmI(@Asked() { name, tags }: Visitor) {
    return { name, tags };
  }

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
  queues(@Asked() visitor: Visitor) {
    return this.status
      .queues()
      .filter(({ virtualHost }) => this.mayLookInto(virtualHost, visitor))
      .map(toPage);
  }

  @Get('queues/:vhost')
  queuesOf(@Param('vhost') virtualHost: string, @Asked() visitor: Visitor) {
    return this.queuesIn(virtualHost, visitor).map(toPage);
  }

  @Get('queues/:vhost/:name')
  queue(@Param('vhost') virtualHost: string, @Param('name') name: string, @Asked() visitor: Visitor) {
    const queue = this.queuesIn(virtualHost, visitor).find((candidate) => candidate.name === name);
    if (queue === undefined) throw notFound();
    return toPage(queue);
  }

  private queuesIn(name: string, visitor: Visitor): QueueStatus[] {
    if (this.access.engine.virtualHost(name) === undefined) throw notFound();
    if (!this.mayLookInto(name, visitor)) {
      const reason = 'User not authorised to access virtual host';
      throw new HttpException({ error: 'not_authorised', reason }, 401);
    }
    return this.status.queues().filter(({ virtualHost }) => virtualHost === name);
  }

  private mayLookInto(virtualHost: string, visitor: Visitor): boolean {
    return isAdministrator(visitor) || this.access.users.mayAccess(visitor.name, virtualHost);
  }
}

function toPage({ name, virtualHost, ready, unacked, consumers, bytes }: QueueStatus) {
  return {
    name,
    vhost: virtualHost,
    messages: ready + unacked,
    messages_ready: ready,
    messages_unacknowledged: unacked,
    message_bytes: bytes,
    consumers,
  };
}

function sumOf(queues: readonly QueueStatus[], figure: (queue: QueueStatus) => number): number {
  return queues.reduce((sum, queue) => sum + figure(queue), 0);
}
