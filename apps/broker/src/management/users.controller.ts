import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Put, Res, UseGuards } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import {
  type Accounts,
  DEFAULT_HASHING,
  HASHING_ALGORITHMS,
  type HashingAlgorithm,
  hashPassword,
  isHashingAlgorithm,
  type User,
} from '#broker';
import { AdministratorGuard } from './administrator.guard.js';
import { answerDelete, answerPut, badRequest, notFound } from './answers.js';
import { BasicAuthGuard } from './basic-auth.guard.js';
import { BROKER_ACCESS, type BrokerAccess } from './broker-access.js';
import { userLimitsPage } from './limits.controller.js';
import { permissionPage, topicPermissionPage } from './permissions.controller.js';
import { objectIn, type RequestBody, tagsIn, textOrNothing } from './request-body.js';

@Controller('api/users')
@UseGuards(BasicAuthGuard, AdministratorGuard)
export class UsersController {
  private readonly accounts: Accounts;

  constructor(@Inject(BROKER_ACCESS) access: BrokerAccess) {
    this.accounts = access.engine.accounts;
  }

  @Get()
  all() {
    return this.accounts.users.map(userPage);
  }

  @Get('without-permissions')
  withoutPermissions() {
    const permitted = new Set(this.accounts.permissions.map(({ user }) => user));
    return this.accounts.users.filter(({ name }) => !permitted.has(name)).map(userPage);
  }

  /** All or none: a name nobody has deletes nobody. */
  @Post('bulk-delete')
  @HttpCode(204)
  deleteMany(@Body() received: unknown): void {
    const { users } = objectIn(received);
    if (!Array.isArray(users)) throw badRequest('[{key_missing,users}]');
    const unknown = users.find((name) => this.accounts.user(String(name)) === undefined);
    if (unknown !== undefined) throw badRequest(['no_such_user', unknown]);
    for (const name of users) this.accounts.deleteUser(String(name));
  }

  @Get(':user')
  one(@Param('user') name: string) {
    return userPage(this.find(name));
  }

  @Put(':user')
  put(@Param('user') name: string, @Body() received: unknown, @Res({ passthrough: true }) reply: FastifyReply): void {
    const body = objectIn(received);
    if (body['tags'] === undefined) throw badRequest('tags_not_present');
    const user = { name, ...secretIn(body), tags: tagsIn(body['tags']) };
    answerPut(reply, () => this.accounts.putUser(user));
  }

  @Delete(':user')
  delete(@Param('user') name: string, @Res({ passthrough: true }) reply: FastifyReply): void {
    answerDelete(reply, this.accounts.deleteUser(name));
  }

  @Get(':user/permissions')
  permissions(@Param('user') name: string) {
    this.find(name);
    return this.accounts.permissions.filter(({ user }) => user === name).map(permissionPage);
  }

  @Get(':user/topic-permissions')
  topicPermissions(@Param('user') name: string) {
    this.find(name);
    return this.accounts.topicPermissions.filter(({ user }) => user === name).map(topicPermissionPage);
  }

  private find(name: string): User {
    const user = this.accounts.user(name);
    if (user === undefined) throw notFound();
    return user;
  }
}

/** A password, its hash, or neither: then nobody can log in by one. */
function secretIn(body: RequestBody): { passwordHash: string; hashingAlgorithm: HashingAlgorithm } {
  const password = textOrNothing(body, 'password');
  const passwordHash = textOrNothing(body, 'password_hash');
  const hashingAlgorithm = textOrNothing(body, 'hashing_algorithm') ?? DEFAULT_HASHING;
  if (!isHashingAlgorithm(hashingAlgorithm)) {
    throw badRequest(`hashing_algorithm is one of ${Object.keys(HASHING_ALGORITHMS).join(', ')}`);
  }
  if (password !== undefined && passwordHash !== undefined) {
    throw badRequest('both_password_and_password_hash_are_provided');
  }
  if (password !== undefined) return { passwordHash: hashPassword(password, hashingAlgorithm), hashingAlgorithm };
  if (passwordHash !== undefined && !isBase64(passwordHash)) throw badRequest(['not_base64', passwordHash]);
  return { passwordHash: passwordHash ?? '', hashingAlgorithm };
}

function isBase64(text: string): boolean {
  return Buffer.from(text, 'base64').toString('base64') === text;
}

function userPage({ name, passwordHash, hashingAlgorithm, tags, limits }: User) {
  return {
    name,
    password_hash: passwordHash,
    hashing_algorithm: hashingAlgorithm,
    tags,
    limits: userLimitsPage(limits),
  };
}
