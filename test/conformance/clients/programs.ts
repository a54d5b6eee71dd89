import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { waitFor } from '#testing';

const LINE_MS_MAX = 60_000;

type Environment = Record<string, string>;

/** Runs a program to its end; rejects with its error output when it fails. Returns what it printed. */
export async function runProgram(
  command: string,
  parameters: readonly string[],
  environment: Environment = {},
  input = '',
): Promise<string> {
  const running = promisify(execFile)(command, parameters, { env: { ...process.env, ...environment } });
  running.child.stdin?.end(input);
  return (await running).stdout;
}

/** A program that goes on until it is told to stop. */
export class RunningProgram {
  readonly lines: string[] = [];
  readonly #errors: string[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | string>;

  constructor(command: string, parameters: readonly string[], environment: Environment = {}) {
    this.#child = spawn(command, parameters, {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.lines.push(line));
    createInterface({ input: this.#child.stderr! }).on('line', (line) => this.#errors.push(line));
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => resolve(code ?? signal ?? -1));
    });
  }

  /** Everything it said, its errors included. */
  get output(): string {
    return [...this.lines, ...this.#errors].join('\n');
  }

  async says(wanted: string | RegExp, where: 'lines' | 'output' = 'lines'): Promise<void> {
    const isIt = (line: string) => (typeof wanted === 'string' ? line === wanted : wanted.test(line));
    await waitFor(() => (where === 'lines' ? this.lines : this.output.split('\n')).some(isIt), {
      timeoutMs: LINE_MS_MAX,
      what: () => `the line ${wanted}; so far:\n${this.output}`,
    });
  }

  /** Ctrl-C, and its exit code. */
  async interrupt(): Promise<number | string> {
    this.#child.kill('SIGINT');
    return this.#ended;
  }

  /** SIGKILL to it and the processes it made. */
  async kill(): Promise<void> {
    try {
      process.kill(-this.#child.pid!, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
    await this.#ended;
  }
}
