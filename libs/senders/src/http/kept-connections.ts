import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';

/**
 * How long a connection waits for its next request. A reset of a kept connection cannot be told from a request that was taken, and leads to a marked repeat;
 * servers close after 5 s of silence or more, so this one is always closed by us, and never while a request is on its way.
 */
const IDLE_MS_MAX = 1_000;
/** From then on a name is looked up, and its address checked, anew. */
const AGE_MS_MAX = 30_000;
/** Waiting for a request, per host; what is beyond is closed. */
const IDLE_SOCKETS_MAX = 50;

/** Keeps young connections only. */
function keeping<Agent extends http.Agent>(agent: Agent): Agent {
  const openedAt = new WeakMap<Duplex, number>();
  const keep = agent.keepSocketAlive.bind(agent);
  // The agent asks when a request is through; one that was never asked about is as old as its first request.
  agent.keepSocketAlive = (socket) => {
    const now = performance.now();
    const since = openedAt.get(socket) ?? now;
    openedAt.set(socket, since);
    // Answers whether it is kept, which its type leaves out.
    return (now - since < AGE_MS_MAX && keep(socket)) as unknown as undefined;
  };
  return agent;
}

const OPTIONS = { keepAlive: true, timeout: IDLE_MS_MAX, maxFreeSockets: IDLE_SOCKETS_MAX };
const newPair = () => ({ http: keeping(new http.Agent(OPTIONS)), https: keeping(new https.Agent(OPTIONS)) });

/** Apart, so that a request that may reach public addresses only never finds a connection that was opened without that check. */
const AGENTS = { anyAddress: newPair(), publicOnly: newPair() };

/** Connections are shared by all requests to one host and closed by themselves; nothing waits for them at the end. */
export function keptConnections(isSecure: boolean, allowPrivateAddresses: boolean): http.Agent {
  return AGENTS[allowPrivateAddresses ? 'anyAddress' : 'publicOnly'][isSecure ? 'https' : 'http'];
}
