import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

/** Who asks for a page, known once `BasicAuthGuard` has let the request through. */
export interface Visitor {
  name: string;
  tags: readonly string[];
}

export type VisitedRequest = FastifyRequest & { visitor?: Visitor };

/** Tags that open the pages at all; a user without one is for AMQP only. */
const PAGE_TAGS = ['administrator', 'monitoring', 'policymaker', 'management'];

export function maySeePages({ tags }: Visitor): boolean {
  return tags.some((tag) => PAGE_TAGS.includes(tag));
}

export function isAdministrator({ tags }: Visitor): boolean {
  return tags.includes('administrator');
}

/** Administrators and monitors see every virtual host in the list, others those they may enter. */
export function seesAllVirtualHosts({ tags }: Visitor): boolean {
  return tags.includes('administrator') || tags.includes('monitoring');
}

/** A parameter of a page: the visitor. */
export const Asked = createParamDecorator(
  (_data: unknown, context: ExecutionContext) => context.switchToHttp().getRequest<VisitedRequest>().visitor,
);
