import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Put, UseGuards } from '@nestjs/common';
import type { User, UserLimits, VirtualHostLimits, VirtualHostStats } from '#broker';
import { AdministratorGuard } from './administrator.guard.js';
import { badRequest, notFound } from './answers.js';
import { BasicAuthGuard } from './basic-auth.guard.js';
import { BROKER_ACCESS, type BrokerAccess } from './broker-access.js';
import { objectIn } from './request-body.js';
import { Asked, isAdministrator, seesAllVirtualHosts, type Visitor } from './visitor.js';

/** RabbitMQ's names of the limits, each with ours. */
const USER_LIMITS: Readonly<Record<string, keyof UserLimits>> = {
  'max-connections': 'maxConnections',
  'max-channels': 'maxChannels',
};
const VIRTUAL_HOST_LIMITS: Readonly<Record<string, keyof VirtualHostLimits>> = {
  'max-connections': 'maxConnections',
  'max-queues': 'maxQueues',
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
    this.setOnVirtualHost(name, limit, valueIn(limit, received));
  }

  @Delete('vhost-limits/:vhost/:limit')
  @UseGuards(AdministratorGuard)
  @HttpCode(204)
  freeVirtualHost(@Param('vhost') name: string, @Param('limit') limit: string): void {
    this.setOnVirtualHost(name, limit, undefined);
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
    this.setOnUser(name, limit, valueIn(limit, received));
  }

  @Delete('user-limits/:user/:limit')
  @UseGuards(AdministratorGuard)
  @HttpCode(204)
  freeUser(@Param('user') name: string, @Param('limit') limit: string): void {
    this.setOnUser(name, limit, undefined);
  }

  private setOnVirtualHost(name: string, limit: string, value: number | undefined): void {
    const { description, tags, limits } = this.virtualHost(name);
    const ours = nameOf(VIRTUAL_HOST_LIMITS, limit);
    this.access.engine.putVirtualHost({ name, description, tags, limits: { ...limits, [ours]: value } });
  }

  private setOnUser(name: string, limit: string, value: number | undefined): void {
    const user = this.user(name);
    const ours = nameOf(USER_LIMITS, limit);
    this.access.engine.accounts.putUser({ ...user, limits: { ...user.limits, [ours]: value } });
  }

  private virtualHost(name: string): VirtualHostStats {
    const found = this.access.engine.stats().virtualHosts.find((each) => each.name === name);
    if (found === undefined) throw notFound();
    return found;
  }

  private user(name: string): User {
    const found = this.access.engine.accounts.user(name);
    if (found === undefined) throw notFound();
    return found;
  }
}

export function userLimitsPage(limits: UserLimits) {
  return pageOf(USER_LIMITS, limits);
}

function userPage({ name, limits }: User) {
  const value = userLimitsPage(limits);
  return Object.keys(value).length === 0 ? [] : [{ user: name, value }];
}

function virtualHostPage({ name, limits }: VirtualHostStats) {
  const value = pageOf(VIRTUAL_HOST_LIMITS, limits);
  return Object.keys(value).length === 0 ? [] : [{ vhost: name, value }];
}

function pageOf<Limits extends object>(names: Readonly<Record<string, keyof Limits>>, limits: Limits) {
  const set = Object.entries(names).filter(([, ours]) => limits[ours] !== undefined);
  return Object.fromEntries(set.map(([theirs, ours]) => [theirs, limits[ours]]));
}

function nameOf<Name>(names: Readonly<Record<string, Name>>, limit: string): Name {
  if (Object.hasOwn(names, limit)) return names[limit]!;
  throw badRequest(`unknown limit '${limit}'; there are ${Object.keys(names).join(' and ')}`);
}

/** A negative value is no limit. */
function valueIn(limit: string, received: unknown): number {
  const { value } = objectIn(received);
  if (typeof value === 'number' && Number.isInteger(value)) return value;
  throw badRequest(`${limit} should be a number, actually was ${JSON.stringify(value)}`);
}
