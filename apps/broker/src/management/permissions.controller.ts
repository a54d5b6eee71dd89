import { Body, Controller, Delete, Get, Inject, Param, Put, Res, UseGuards } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { Permission, TopicPermission } from '#broker';
import { AdministratorGuard } from './administrator.guard.js';
import { answerDelete, answerPut, badRequest, notFound } from './answers.js';
import { BasicAuthGuard } from './basic-auth.guard.js';
import { BROKER_ACCESS, type BrokerAccess } from './broker-access.js';
import { objectIn, textIn } from './request-body.js';

@Controller('api')
@UseGuards(BasicAuthGuard, AdministratorGuard)
export class PermissionsController {
  constructor(@Inject(BROKER_ACCESS) private readonly access: BrokerAccess) {}

  @Get('permissions')
  all() {
    return this.accounts.permissions.map(permissionPage);
  }

  @Get('permissions/:vhost/:user')
  one(@Param('vhost') virtualHost: string, @Param('user') user: string) {
    const permission = this.accounts.permission(virtualHost, user);
    if (permission === undefined) throw notFound();
    return permissionPage(permission);
  }

  @Put('permissions/:vhost/:user')
  put(
    @Param('vhost') virtualHost: string,
    @Param('user') user: string,
    @Body() received: unknown,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): void {
    const row = this.rowOf(virtualHost, user, received, ['configure', 'write', 'read']);
    answerPut(reply, () => this.accounts.putPermission(row));
  }

  @Delete('permissions/:vhost/:user')
  delete(
    @Param('vhost') virtualHost: string,
    @Param('user') user: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): void {
    answerDelete(reply, this.accounts.deletePermission(virtualHost, user));
  }

  @Get('topic-permissions')
  allTopics() {
    return this.accounts.topicPermissions.map(topicPermissionPage);
  }

  @Get('topic-permissions/:vhost/:user')
  topicsOf(@Param('vhost') virtualHost: string, @Param('user') user: string) {
    const found = this.topicRowsOf(virtualHost, user);
    if (found.length === 0) throw notFound();
    return found.map(topicPermissionPage);
  }

  /** One exchange at a time; 204 also for a further exchange, as RabbitMQ counts them by user. */
  @Put('topic-permissions/:vhost/:user')
  putTopic(
    @Param('vhost') virtualHost: string,
    @Param('user') user: string,
    @Body() received: unknown,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): void {
    const row = this.rowOf(virtualHost, user, received, ['exchange', 'write', 'read']);
    const hadNone = this.topicRowsOf(virtualHost, user).length === 0;
    answerPut(reply, () => {
      this.accounts.putTopicPermission(row);
      return hadNone ? 'created' : 'changed';
    });
  }

  @Delete('topic-permissions/:vhost/:user')
  deleteTopics(
    @Param('vhost') virtualHost: string,
    @Param('user') user: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): void {
    answerDelete(reply, this.accounts.deleteTopicPermissions(virtualHost, user, undefined));
  }

  @Delete('topic-permissions/:vhost/:user/:exchange')
  deleteTopic(
    @Param('vhost') virtualHost: string,
    @Param('user') user: string,
    @Param('exchange') exchange: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): void {
    answerDelete(reply, this.accounts.deleteTopicPermissions(virtualHost, user, exchange));
  }

  private get accounts() {
    return this.access.engine.accounts;
  }

  private topicRowsOf(virtualHost: string, user: string): TopicPermission[] {
    return this.accounts.topicPermissions.filter((each) => each.virtualHost === virtualHost && each.user === user);
  }

  /** What the body says of a user in a virtual host. Throws 400 when a field is missing, or one of the two is unknown. */
  private rowOf<Field extends string>(
    virtualHost: string,
    user: string,
    received: unknown,
    fields: readonly Field[],
  ): { virtualHost: string; user: string } & Record<Field, string> {
    const body = objectIn(received);
    const texts = Object.fromEntries(fields.map((field) => [field, textIn(body, field)])) as Record<Field, string>;
    const { engine } = this.access;
    if (engine.virtualHost(virtualHost) === undefined || engine.accounts.user(user) === undefined) {
      throw badRequest('vhost_or_user_not_found');
    }
    return { virtualHost, user, ...texts };
  }
}

export function permissionPage({ user, virtualHost, configure, write, read }: Permission) {
  return { user, vhost: virtualHost, configure, write, read };
}

export function topicPermissionPage({ user, virtualHost, exchange, write, read }: TopicPermission) {
  return { user, vhost: virtualHost, exchange, write, read };
}
