import { Body, Controller, Delete, Get, HttpCode, HttpException, Inject, Param, Put, UseGuards } from '@nestjs/common';
import type { User, UserLimits, VirtualHostLimits, VirtualHostStats } from '#broker';
import { AdministratorGuard } from './administrator.guard.js';
import { badRequest, notFound } from './answers.js';
import { BasicAuthGuard } from './basic-auth.guard.js';
import { BROKER_ACCESS, type BrokerAccess } from './broker-access.js';
import { objectIn } from './request-body.js';
import { Asked, isAdministrator, seesAllVirtualHosts, type Visitor } from './visitor.js';

/** RabbitMQ's names of the limits, each with ours, and its words around a complaint. */
interface LimitKind<Name> {
  readonly names: Readonly<Record<string, Name>>;
  readonly title: string;
  readonly frame: readonly [before: string, after: string];
}

const USER_LIMITS: LimitKind<keyof UserLimits> = {
  names: { 'max-connections': 'maxConnections', 'max-channels': 'maxChannels' },
  title: 'user-limits',
  frame: ['', ''],
};
const VIRTUAL_HOST_LIMITS: LimitKind<keyof VirtualHostLimits> = {
  names: { 'max-connections': 'maxConnections', 'max-queues': 'maxQueues' },
  title: 'limits',
  frame: ['Validation failed\n\n', '\n'],
};

@Controller('api')
@UseGuards(BasicAuthGuard)
export class LimitsController {
  constructor(@Inject(BROKER_ACCESS) private readonly access: BrokerAccess) {}

  @Get('vhost-limits')
  ofVirtualHosts(@Asked() visitor: Visitor) {
    const { engine, users } = this.access;
    const seesAll = seesAllVirtualHosts(visitor);
    const seen = engine.stats().virtualHosts.filter(({ name }) => seesAll || users.mayAccess(visitor.name, name));
    return seen.flatMap(virtualHostPage);
  }

  @Get('vhost-limits/:vhost')
  @UseGuards(AdministratorGuard)
  ofVirtualHost(@Param('vhost') name: string) {
    return virtualHostPage(this.virtualHost(name));
  }

  @Put('vhost-limits/:vhost/:limit')
  @UseGuards(AdministratorGuard)
  @HttpCode(204)
  limitVirtualHost(@Param('vhost') name: string, @Param('limit') limit: string, @Body() received: unknown): void {
    const found = this.findVirtualHost(name);
    if (found === undefined) throw new HttpException({ error: 'not_found', reason: 'vhost_not_found' }, 404);
    const [ours, value] = limitIn(VIRTUAL_HOST_LIMITS, limit, received);
    this.setOnVirtualHost(found, ours, value);
  }

  @Delete('vhost-limits/:vhost/:limit')
  @UseGuards(AdministratorGuard)
  @HttpCode(204)
  freeVirtualHost(@Param('vhost') name: string, @Param('limit') limit: string): void {
    this.setOnVirtualHost(this.virtualHost(name), VIRTUAL_HOST_LIMITS.names[limit], undefined);
  }

  @Get('user-limits')
  ofUsers(@Asked() visitor: Visitor) {
    const { users } = this.access.engine.accounts;
    return users.filter(({ name }) => isAdministrator(visitor) || name === visitor.name).flatMap(userPage);
  }

  @Get('user-limits/:user')
  @UseGuards(AdministratorGuard)
  ofUser(@Param('user') name: string) {
    return userPage(this.user(name));
  }

  @Put('user-limits/:user/:limit')
  @UseGuards(AdministratorGuard)
  @HttpCode(204)
  limitUser(@Param('user') name: string, @Param('limit') limit: string, @Body() received: unknown): void {
    const user = this.findUser(name);
    if (user === undefined) throw badRequest(['no_such_user', name]);
    const [ours, value] = limitIn(USER_LIMITS, limit, received);
    this.setOnUser(user, ours, value);
  }

  @Delete('user-limits/:user/:limit')
  @UseGuards(AdministratorGuard)
  @HttpCode(204)
  freeUser(@Param('user') name: string, @Param('limit') limit: string): void {
    this.setOnUser(this.user(name), USER_LIMITS.names[limit], undefined);
  }

  /** No name: there is no such limit to take away, which is no mistake. */
  private setOnVirtualHost(
    { name, description, tags, limits }: VirtualHostStats,
    limit: keyof VirtualHostLimits | undefined,
    value: number | undefined,
  ): void {
    if (limit === undefined) return;
    this.access.engine.putVirtualHost({ name, description, tags, limits: { ...limits, [limit]: value } });
  }

  private setOnUser(user: User, limit: keyof UserLimits | undefined, value: number | undefined): void {
    if (limit === undefined) return;
    this.access.engine.accounts.putUser({ ...user, limits: { ...user.limits, [limit]: value } });
  }

  private virtualHost(name: string): VirtualHostStats {
    const found = this.findVirtualHost(name);
    if (found === undefined) throw notFound();
    return found;
  }

  private findVirtualHost(name: string): VirtualHostStats | undefined {
    return this.access.engine.stats().virtualHosts.find((each) => each.name === name);
  }

  private user(name: string): User {
    const found = this.findUser(name);
    if (found === undefined) throw notFound();
    return found;
  }

  private findUser(name: string): User | undefined {
    return this.access.engine.accounts.user(name);
  }
}

export function userLimitsPage(limits: UserLimits) {
  return pageOf(USER_LIMITS.names, limits);
}

function userPage({ name, limits }: User) {
  const value = userLimitsPage(limits);
  return Object.keys(value).length === 0 ? [] : [{ user: name, value }];
}

function virtualHostPage({ name, limits }: VirtualHostStats) {
  const value = pageOf(VIRTUAL_HOST_LIMITS.names, limits);
  return Object.keys(value).length === 0 ? [] : [{ vhost: name, value }];
}

function pageOf<Limits extends object>(names: Readonly<Record<string, keyof Limits>>, limits: Limits) {
  const set = Object.entries(names).filter(([, ours]) => limits[ours] !== undefined);
  return Object.fromEntries(set.map(([theirs, ours]) => [theirs, limits[ours]]));
}

/** Our name of the limit and its value; a negative one is no limit. Throws 400 with RabbitMQ's words. */
function limitIn<Name>(kind: LimitKind<Name>, limit: string, received: unknown): [Name, number] {
  const body = objectIn(received);
  if (!('value' in body)) throw badRequest('[{key_missing,value}]');
  const { value } = body;
  const { names, title } = kind;
  if (!Object.hasOwn(names, limit)) {
    throw complaint(kind, `Unrecognised terms [${limit}] in ${title}; there are ${Object.keys(names).join(' and ')}`);
  }
  if (typeof value === 'number' && Number.isInteger(value)) return [names[limit]!, value];
  throw complaint(kind, `${limit} should be a number, actually was ${JSON.stringify(value)}`);
}

function complaint({ frame: [before, after] }: LimitKind<unknown>, text: string): HttpException {
  return badRequest(before + text + after);
}
