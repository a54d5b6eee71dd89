import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** A third-party client put through its paces on a broker; the same checks run against RabbitMQ and against ours. */
export interface ClientSuite {
  name: string;
  /** A file of the Debian package it needs, and the package's name. */
  needs?: { path: string; packageName: string };
  checks: readonly ClientCheck[];
}

export interface ClientCheck {
  title: string;
  /** Rejects when the client does not see what it should. `url` is amqp://guest:guest@host:port. */
  run(url: string): Promise<void>;
}

const PROGRAM_MS_MAX = 60_000;

/** A program's standard output. Rejects, with what it printed, when it fails. */
export async function outputOf(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, { timeout: PROGRAM_MS_MAX });
  return stdout;
}
