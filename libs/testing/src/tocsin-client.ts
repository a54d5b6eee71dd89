import { TEST_ADMIN_PASSWORD, TEST_INGEST_TOKEN } from './service.js';

export type Credentials = 'ingest' | 'admin' | 'none' | { authorization: string };

export interface Answer<Body = unknown> {
  status: number;
  headers: Headers;
  text: string;
  /** The parsed body; `undefined` when it is no JSON. */
  json: Body;
}

const AUTHORIZATION = {
  ingest: `Bearer ${TEST_INGEST_TOKEN}`,
  admin: `Basic ${Buffer.from(`admin:${TEST_ADMIN_PASSWORD}`).toString('base64')}`,
};

/** Talks to a running service as a monitoring system (`ingest`) or an administrator (`admin`) would. */
export class TocsinClient {
  constructor(private readonly http: string) {}

  post<Body>(path: string, body: unknown, credentials: Credentials = 'ingest'): Promise<Answer<Body>> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return this.send('POST', path, credentials, text);
  }

  get<Body>(path: string, credentials: Credentials = 'ingest'): Promise<Answer<Body>> {
    return this.send('GET', path, credentials);
  }

  private async send<Body>(method: string, path: string, who: Credentials, body?: string): Promise<Answer<Body>> {
    const headers: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
    const authorization = typeof who === 'object' ? who.authorization : who === 'none' ? undefined : AUTHORIZATION[who];
    if (authorization !== undefined) headers['authorization'] = authorization;
    const response = await fetch(`${this.http}${path}`, { method, headers, body });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: parsed(text) as Body };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
