import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { hostname } from 'node:os';
import type { Duplex } from 'node:stream';
import { ReplyAddresses } from './channel/direct-reply.js';
import { type Behaviour, behaviourOf } from './compat.js';
import { Connection } from './connection/connection.js';
import type { ConnectionContext, Peer, ServedVirtualHost } from './connection/connection-context.js';
import type { Census } from './connection/limits.js';
import { StaticUsers, type Users } from './connection/users.js';
import { Counters } from './counters.js';
import { DurabilityWatch } from './durability-watch.js';
import { type BrokerLog, SILENT_LOG } from './log.js';
import { type BrokerStats, statsOf } from './stats.js';
import { type Certificates, TlsListener, type TlsOptions, tlsDetailsOf } from './tls-listener.js';
import type { Durability, VirtualHost, VirtualHostDirectory } from './virtual-host.js';

export interface BrokerOptions {
  /** Default 127.0.0.1. */
  host?: string;
  /** 0 picks a free one; default 5672. */
  port?: number;
  /** An engine is one. */
  virtualHosts: VirtualHostDirectory;
  /** How far the log behind the virtual hosts has come. */
  durability: Durability;
  /** Default: guest/guest from this machine. */
  users?: Users;
  /** Proposed to clients, who decide; 0 is off. Default 60. */
  heartbeatSeconds?: number;
  /** How RabbitMQ's versions differ; see `behaviourOf`. Default: as 3.13. */
  behaviour?: Behaviour;
  /** Default 131072; at least the behaviour's `frameBytesMin`. */
  frameMax?: number;
  /** Default 2047. */
  channelMax?: number;
  /** Default: the behaviour's. */
  messageBytesMax?: number;
  /** Further connections are cut. Default 10000. */
  connectionsMax?: number;
  clusterName?: string;
  log?: BrokerLog;
}

/** How long `close` waits for clients to answer connection.close. */
export const SHUTDOWN_MS_MAX = 3000;

const MINUTE_MS = 60_000;

/** The AMQP server. Owns its listening socket and the connections; the virtual hosts belong to the caller. */
export class Broker {
  readonly counters = new Counters();
  readonly #connections = new Set<Connection>();
  readonly #options: BrokerOptions;
  readonly #watch: DurabilityWatch;
  readonly #context: ConnectionContext;
  readonly #startedAt = Date.now();
  readonly #minutes: NodeJS.Timeout;
  #server: Server | undefined;
  #tls: TlsListener | undefined;
  #alarm: string | undefined;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.#watch = new DurabilityWatch(options.durability);
    this.#context = this.#newContext(options);
    this.#minutes = setInterval(() => this.#onMinute(), MINUTE_MS).unref();
    options.virtualHosts.onDeleting((name) => {
      const isThere = (connection: Connection) => connection.open?.session.virtualHost.name === name;
      this.#closeConnections(isThere, `vhost '${name}' is deleted`);
    });
    options.users?.onRemoved?.((user) => {
      this.#closeConnections((connection) => connection.open?.login.user === user, `user '${user}' is deleted`);
    });
  }

  /** Opens the TLS port. Rejects with the system's error, or when the certificates cannot be used. */
  async listenTls(options: TlsOptions): Promise<void> {
    this.#tls = new TlsListener(options, this.#context.log, (socket) =>
      this.accept(socket, { ...peerOf(socket), tls: tlsDetailsOf(socket) }),
    );
    await this.#tls.listen();
  }

  /** Starts listening. Rejects with the system's error, e.g. EADDRINUSE. */
  async listen(): Promise<void> {
    const { host = '127.0.0.1', port = 5672 } = this.#options;
    const server = createServer({ noDelay: true, keepAlive: true }, (socket) => this.accept(socket, peerOf(socket)));
    this.#server = server;
    server.listen(port, host);
    await once(server, 'listening');
  }

  /** The port it listens on. */
  get port(): number {
    const address = this.#server?.address();
    if (address === null || address === undefined || typeof address === 'string')
      throw new Error('the broker is not listening');
    return address.port;
  }

  /** Undefined without a TLS port. */
  get tlsPort(): number | undefined {
    return this.#tls?.port;
  }

  /** New TLS connections get these. Throws when they cannot be used, and goes on with the old ones. */
  renewCertificates(certificates: Certificates): void {
    this.#tls?.renew(certificates);
  }

  /** Serves a connection that came by another way than the listening socket. */
  accept(stream: Duplex, peer: Peer): void {
    const { connectionsMax = 10_000 } = this.#options;
    if (this.#connections.size >= connectionsMax) {
      this.#context.log.warn({ connectionsMax, remoteAddress: peer.remoteAddress }, 'connection refused: too many');
      stream.destroy();
      return;
    }
    this.#connections.add(new Connection(stream, peer, this.#context));
  }

  /** Publishers must wait from their next publish on; `reason` is told to those that can hear it ("low on memory", "low on disk"). */
  raiseAlarm(reason: string): void {
    this.#alarm = reason;
    for (const connection of this.#connections) connection.onAlarm();
  }

  clearAlarm(): void {
    this.#alarm = undefined;
    for (const connection of this.#connections) connection.onAlarm();
  }

  /** For the management page. */
  stats(): BrokerStats {
    return statsOf(this.#connections, this.counters, this.#startedAt, this.#alarm);
  }

  /** Closes one connection with the operator's words. False when there is none of that name. */
  closeConnection(name: string, text: string): boolean {
    const connection = [...this.#connections].find((each) => each.name === name);
    connection?.shutDown(text);
    return connection !== undefined;
  }

  #closeConnections(isMeant: (connection: Connection) => boolean, text: string): void {
    for (const connection of this.#connections) if (isMeant(connection)) connection.shutDown(text);
  }

  /** Stops listening, tells every client, waits a bounded time for their answer. */
  async close(): Promise<void> {
    this.#server?.close();
    this.#tls?.close();
    const closed = this.#allClosed();
    for (const connection of this.#connections) {
      connection.shutDown("broker forced connection closure with reason 'shutdown'");
    }
    const deadline = setTimeout(() => {
      for (const connection of this.#connections) connection.destroy();
    }, SHUTDOWN_MS_MAX);
    await closed;
    clearTimeout(deadline);
    clearInterval(this.#minutes);
    this.#watch.stop();
  }

  #onMinute(): void {
    for (const connection of this.#connections) connection.onMinute();
  }

  #onAllClosed: () => void = () => {};

  #allClosed(): Promise<void> {
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onAllClosed = resolve;
    });
  }

  #census(): Census {
    const openOnes = () => [...this.#connections].flatMap(({ open }) => open ?? []);
    const of = (user: string) => openOnes().filter(({ login }) => login.user === user);
    return {
      connectionsTo: (name) => openOnes().filter(({ session }) => session.virtualHost.name === name).length,
      connectionsOf: (user) => of(user).length,
      channelsOf: (user) => of(user).reduce((sum, { session }) => sum + session.channelCount, 0),
    };
  }

  #newContext(options: BrokerOptions): ConnectionContext {
    // A virtual host takes its reply addresses along when it is deleted.
    const served = new WeakMap<VirtualHost, ServedVirtualHost>();
    const broker = this;
    const { behaviour = behaviourOf() } = options;
    return {
      tuning: {
        channelMax: options.channelMax ?? 2047,
        frameMax: options.frameMax ?? 131_072,
        heartbeat: options.heartbeatSeconds ?? 60,
      },
      behaviour,
      clusterName: options.clusterName ?? `tocsin@${hostname()}`,
      messageBytesMax: options.messageBytesMax ?? behaviour.messageBytesMax,
      users: options.users ?? new StaticUsers(),
      watch: this.#watch,
      consumerBias: options.virtualHosts.consumerBias,
      counters: this.counters,
      log: options.log ?? SILENT_LOG,
      census: this.#census(),
      findVirtualHost: (name) => {
        const virtualHost = options.virtualHosts.virtualHost(name);
        if (virtualHost === undefined) return undefined;
        const known = served.get(virtualHost) ?? { virtualHost, replies: new ReplyAddresses() };
        served.set(virtualHost, known);
        return known;
      },
      get alarm() {
        return broker.#alarm;
      },
      onClosed: (connection) => {
        this.#connections.delete(connection);
        if (this.#connections.size === 0) this.#onAllClosed();
      },
    };
  }
}

function peerOf(socket: Socket): Peer {
  return {
    remoteAddress: socket.remoteAddress ?? '',
    remotePort: socket.remotePort ?? 0,
    localAddress: socket.localAddress ?? '',
    localPort: socket.localPort ?? 0,
  };
}
