import { type CanActivate, type ExecutionContext, HttpException, Injectable } from '@nestjs/common';
import { isAdministrator, type VisitedRequest } from './visitor.js';

/** Comes after `BasicAuthGuard`: the page is for administrators. */
@Injectable()
export class AdministratorGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { visitor } = context.switchToHttp().getRequest<VisitedRequest>();
    if (visitor !== undefined && isAdministrator(visitor)) return true;
    throw new HttpException({ error: 'not_authorised', reason: 'Not administrator user' }, 401);
  }
}
