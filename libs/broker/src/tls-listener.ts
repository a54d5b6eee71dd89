import { once } from 'node:events';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { BrokerLog } from './log.js';

/** PEM texts. */
export interface Certificates {
  /** Ours, with the chain up to but without the root. */
  cert: string;
  key: string;
  /** Authorities whose client certificates are trusted. */
  ca?: string | undefined;
}

export interface TlsOptions extends Certificates {
  host: string;
  /** 0 picks a free one. */
  port: number;
  /** `peer`: a client certificate is asked for, and one that `ca` did not sign is refused. */
  verify: 'none' | 'peer';
  /** With `peer`: a client without a certificate is refused too. */
  failIfNoPeerCert: boolean;
}

/** What a TLS connection was agreed on; for people. */
export interface TlsDetails {
  /** E.g. TLSv1.3. */
  protocol: string;
  cipher: string;
  /** Of the client's certificate, one `CN=...` per line; undefined when it showed none. */
  peerSubject: string | undefined;
  peerIssuer: string | undefined;
}

/** A peer that says nothing is cut after this. */
const TLS_HANDSHAKE_MS_MAX = 10_000;

/** The TLS port. Sockets are handed on once they are encrypted and the client's certificate is judged. Owned by the broker. */
export class TlsListener {
  readonly #server: Server;
  readonly #options: TlsOptions;
  readonly #log: BrokerLog;

  /** Throws when the PEM texts cannot be used. */
  constructor(options: TlsOptions, log: BrokerLog, onConnection: (socket: TLSSocket) => void) {
    this.#options = options;
    this.#log = log;
    this.#server = createServer({
      ...secureContextOf(options),
      requestCert: options.verify === 'peer',
      // Judged below: Node would cut the socket without a word in the log, and knows no "only if there is one".
      rejectUnauthorized: false,
      handshakeTimeout: TLS_HANDSHAKE_MS_MAX,
      noDelay: true,
      keepAlive: true,
    });
    this.#server.on('secureConnection', (socket) => {
      const refusal = this.#refusalOf(socket);
      if (refusal === undefined) onConnection(socket);
      else this.#refuse(socket, refusal);
    });
    // Anybody may send junk here; it costs that socket only.
    this.#server.on('tlsClientError', (error, socket) => this.#refuse(socket, error.message));
  }

  /** Rejects with the system's error, e.g. EADDRINUSE. */
  async listen(): Promise<void> {
    this.#server.listen(this.#options.port, this.#options.host);
    await once(this.#server, 'listening');
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the TLS listener is not listening');
    return address.port;
  }

  /** For connections from now on. Throws when the PEM texts cannot be used, and goes on with the old ones. */
  renew(certificates: Certificates): void {
    this.#server.setSecureContext(secureContextOf(certificates));
  }

  close(): void {
    this.#server.close();
  }

  #refusalOf(socket: TLSSocket): string | undefined {
    const { verify, failIfNoPeerCert } = this.#options;
    if (verify === 'none' || socket.authorized) return undefined;
    if (hasCertificate(socket)) return `the client's certificate is not trusted: ${socket.authorizationError}`;
    return failIfNoPeerCert ? 'the client showed no certificate' : undefined;
  }

  #refuse(socket: TLSSocket, reason: string): void {
    this.#log.warn({ remoteAddress: socket.remoteAddress, reason }, 'TLS connection refused');
    socket.on('error', () => {});
    socket.destroy();
  }
}

export function tlsDetailsOf(socket: TLSSocket): TlsDetails {
  const { subject, issuer } = hasCertificate(socket)
    ? socket.getPeerX509Certificate()!
    : { subject: undefined, issuer: undefined };
  return {
    protocol: socket.getProtocol() ?? '',
    cipher: socket.getCipher().standardName,
    peerSubject: subject,
    peerIssuer: issuer,
  };
}

function hasCertificate(socket: TLSSocket): boolean {
  return socket.getPeerX509Certificate() !== undefined;
}

function secureContextOf({ cert, key, ca }: Certificates) {
  return { cert, key, ca };
}
