import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

export type Principal = 'ingest' | 'admin';

const ADMIN = 'admin';

/**
 * Checks an `Authorization` header. Both sides are hashed with a salt of this run before they are compared, so neither the time taken nor the
 * length tells anything. Both secrets are held in clear by the settings, so there is no slow hash to cache.
 */
export class Credentials {
  private readonly salt = randomBytes(32).toString('hex');
  private readonly token: Buffer;
  private readonly password: Buffer;

  constructor(secrets: { ingestToken: string; adminPassword: string }) {
    this.token = this.digest(secrets.ingestToken);
    this.password = this.digest(secrets.adminPassword);
  }

  /** RFC 6750 (`Bearer <ingest token>`) or RFC 7617 (`Basic admin:<password>`). */
  identify(authorization: string | undefined): Principal | undefined {
    const [, scheme, value] = /^(Bearer|Basic) +(\S+) *$/i.exec(authorization ?? '') ?? [];
    if (scheme === undefined || value === undefined) return undefined;
    if (scheme.toLowerCase() === 'bearer') return this.matches(value, this.token) ? 'ingest' : undefined;

    const decoded = Buffer.from(value, 'base64').toString('utf8');
    const colon = decoded.indexOf(':');
    const isAdmin = decoded.slice(0, Math.max(0, colon)) === ADMIN;
    return this.matches(decoded.slice(colon + 1), this.password) && isAdmin ? 'admin' : undefined;
  }

  private matches(given: string, expected: Buffer): boolean {
    return timingSafeEqual(this.digest(given), expected);
  }

  private digest(text: string): Buffer {
    return hash('sha256', this.salt + text, 'buffer');
  }
}
