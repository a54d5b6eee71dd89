import type { FastifyInstance } from 'fastify';
import type { Metrics } from '#telemetry';

/** Counts and times every answer by its route's pattern, so that ids make no new series. */
export function measureRequests(server: FastifyInstance, metrics: Metrics): void {
  server.addHook('onResponse', async (request, reply) => {
    const route = request.is404 ? 'none' : (request.routeOptions.url ?? 'none');
    const { method } = request;
    metrics.add('http_requests_total', { method, route, status: String(reply.statusCode) });
    metrics.observe('http_request_seconds', { method, route }, reply.elapsedTime / 1_000);
  });
}
