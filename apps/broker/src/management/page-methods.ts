import type { FastifyInstance } from 'fastify';

/** As RabbitMQ lists them in its header `allow`. */
const ORDER = ['HEAD', 'GET', 'PUT', 'POST', 'DELETE'];

/** Which methods each page has, so that another one is answered with 405 and their list. */
export interface PageMethods {
  /** The value of the header `allow` for a path; undefined: no page has it. */
  allowedOn(path: string): string | undefined;
}

/** Gathers the pages as they are registered: call it before the first one. */
export function gatherPageMethods(server: FastifyInstance): PageMethods {
  /** Bounded by the pages there are. */
  const methodsByPattern = new Map<string, Set<string>>();
  server.addHook('onRoute', ({ method, url }) => {
    const methods = methodsByPattern.get(url) ?? new Set();
    for (const each of [method].flat()) methods.add(each);
    methodsByPattern.set(url, methods);
  });
  return {
    allowedOn(path) {
      const methods = new Set<string>();
      for (const [pattern, each] of methodsByPattern)
        if (isMatch(pattern, path)) for (const one of each) methods.add(one);
      if (methods.size === 0) return undefined;
      return [...ORDER.filter((method) => methods.has(method)), 'OPTIONS'].join(', ');
    },
  };
}

/** A segment with a colon in front stands for any. */
function isMatch(pattern: string, path: string): boolean {
  const expected = pattern.split('/');
  const given = withoutTrailingSlash(path).split('/');
  return (
    expected.length === given.length &&
    expected.every((segment, at) => segment === given[at] || (segment.startsWith(':') && given[at] !== ''))
  );
}

function withoutTrailingSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}
