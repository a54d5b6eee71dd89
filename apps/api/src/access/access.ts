import { RouteConfig } from '@nestjs/platform-fastify';

/**
 * Who may call a route.
 * - `open`: everyone
 * - `loopback`: everyone on this machine, else who may `ingest`
 * - `ingest`: the ingest token, or admin
 * - `admin`: admin only; what a route without a mark takes
 */
export type Access = 'open' | 'loopback' | 'ingest' | 'admin';

/** Marks a controller's route. Kept in the route's Fastify config, as credentials are checked before the body is read. */
export const Allow = (access: Access) => RouteConfig({ access });

/** Marks a route that takes alerts or notifications in: it is refused while the service is overloaded. */
export const Intake = () => RouteConfig({ access: 'ingest' satisfies Access, isIntake: true });

export interface RouteMarks {
  access?: Access;
  isIntake?: boolean;
}
