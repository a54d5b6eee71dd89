import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import axios, { type AxiosInstance } from 'axios';

/** Where the service is and who asks. */
export interface Connection {
  url: string;
  adminPassword: string;
}

/** One sentence for the operator: what failed, where, what to try. */
export class CommandError extends Error {}

const TIMEOUT_MS = 30_000;

/** The service's HTTP API as an administrator sees it. */
export class ApiClient {
  private readonly http: AxiosInstance;

  constructor(private readonly connection: Connection) {
    this.http = axios.create({
      baseURL: connection.url,
      timeout: TIMEOUT_MS,
      proxy: false,
      auth: { username: 'admin', password: connection.adminPassword },
      // Every answer is looked at below.
      validateStatus: () => true,
    });
  }

  async get<Body>(path: string, params: object = {}): Promise<Body> {
    return this.answer(() => this.http.get(path, { params }));
  }

  async post<Body>(path: string, body: unknown): Promise<Body> {
    return this.answer(() => this.http.post(path, body));
  }

  private async answer<Body>(ask: () => Promise<{ status: number; data: unknown }>): Promise<Body> {
    const { status, data } = await ask().catch((error: Error) => {
      throw new CommandError(`${this.connection.url} does not answer (${error.message}); is the service running?`);
    });
    if (status < 300) return data as Body;
    if (status === 401) throw new CommandError('the admin password is wrong; set TOCSIN_ADMIN_PASSWORD');
    throw new CommandError(`${status}: ${detailOf(data)}`);
  }
}

/** RFC 9457 problem documents carry `detail`; anything else is shown as it came. */
function detailOf(data: unknown): string {
  const problem = data as { title?: string; detail?: string } | undefined;
  return problem?.detail ?? problem?.title ?? JSON.stringify(data);
}

/** From the environment, and for the password from the first-run credentials of a data folder on this machine. */
export function connectionFrom(environment: NodeJS.ProcessEnv, url: string | undefined): Connection {
  const adminPassword =
    environment['TOCSIN_ADMIN_PASSWORD'] ?? keptPassword(environment['TOCSIN_DATA_DIR'] ?? './data');
  if (adminPassword === undefined) {
    throw new CommandError('no admin password: set TOCSIN_ADMIN_PASSWORD, or TOCSIN_DATA_DIR to the data folder');
  }
  return { url: url ?? `http://127.0.0.1:${environment['TOCSIN_HTTP_PORT'] ?? 8080}`, adminPassword };
}

function keptPassword(dataFolder: string): string | undefined {
  try {
    return JSON.parse(readFileSync(join(dataFolder, 'credentials.json'), 'utf8')).adminPassword;
  } catch {
    // No such folder here: the caller says what to set.
    return undefined;
  }
}
