import { Body, Controller, Delete, Get, Inject, Param, Put, Res, UseGuards } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { VirtualHostStats } from '#broker';
import { AdministratorGuard } from './administrator.guard.js';
import { answerDelete, answerPut, notFound } from './answers.js';
import { BasicAuthGuard } from './basic-auth.guard.js';
import { BROKER_ACCESS, type BrokerAccess } from './broker-access.js';
import { permissionPage, topicPermissionPage } from './permissions.controller.js';
import { objectIn, tagsIn, textOrNothing } from './request-body.js';
import { Asked, seesAllVirtualHosts, type Visitor } from './visitor.js';

@Controller('api/vhosts')
@UseGuards(BasicAuthGuard)
export class VirtualHostsController {
  constructor(@Inject(BROKER_ACCESS) private readonly access: BrokerAccess) {}

  @Get()
  all(@Asked() visitor: Visitor) {
    const { engine, users } = this.access;
    const seesAll = seesAllVirtualHosts(visitor);
    const seen = engine.stats().virtualHosts.filter(({ name }) => seesAll || users.mayAccess(visitor.name, name));
    return seen.map(virtualHostPage);
  }

  @Get(':vhost')
  @UseGuards(AdministratorGuard)
  one(@Param('vhost') name: string) {
    return virtualHostPage(this.find(name));
  }

  /** Whoever makes one may do everything in it, as on RabbitMQ. */
  @Put(':vhost')
  @UseGuards(AdministratorGuard)
  put(
    @Param('vhost') name: string,
    @Body() received: unknown,
    @Asked() visitor: Visitor,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): void {
    const { engine } = this.access;
    const existing = engine.stats().virtualHosts.find((each) => each.name === name);
    const body = objectIn(received);
    const description = textOrNothing(body, 'description') ?? existing?.description ?? '';
    const tags = body['tags'] === undefined ? [...(existing?.tags ?? [])] : tagsIn(body['tags']);
    answerPut(reply, () => {
      const outcome = engine.putVirtualHost({ name, description, tags });
      if (outcome === 'created' && engine.accounts.user(visitor.name) !== undefined) {
        const everything = { configure: '.*', write: '.*', read: '.*' };
        engine.accounts.putPermission({ virtualHost: name, user: visitor.name, ...everything });
      }
      return outcome;
    });
  }

  @Delete(':vhost')
  @UseGuards(AdministratorGuard)
  delete(@Param('vhost') name: string, @Res({ passthrough: true }) reply: FastifyReply): void {
    answerDelete(reply, this.access.engine.deleteVirtualHost(name));
  }

  @Get(':vhost/permissions')
  @UseGuards(AdministratorGuard)
  permissions(@Param('vhost') name: string) {
    this.find(name);
    const { accounts } = this.access.engine;
    return accounts.permissions.filter(({ virtualHost }) => virtualHost === name).map(permissionPage);
  }

  @Get(':vhost/topic-permissions')
  @UseGuards(AdministratorGuard)
  topicPermissions(@Param('vhost') name: string) {
    this.find(name);
    const { accounts } = this.access.engine;
    return accounts.topicPermissions.filter(({ virtualHost }) => virtualHost === name).map(topicPermissionPage);
  }

  private find(name: string): VirtualHostStats {
    const found = this.access.engine.stats().virtualHosts.find((each) => each.name === name);
    if (found === undefined) throw notFound();
    return found;
  }
}

function virtualHostPage({ name, description, tags, ready, unacked }: VirtualHostStats) {
  return {
    name,
    description,
    tags,
    metadata: { description, tags },
    default_queue_type: 'undefined',
    tracing: false,
    messages: ready + unacked,
    messages_ready: ready,
    messages_unacknowledged: unacked,
  };
}
