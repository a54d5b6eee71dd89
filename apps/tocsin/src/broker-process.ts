import { type ChildProcess, fork } from 'node:child_process';
import { decideRestart } from './restart-policy.js';

/** What the broker process says over its IPC channel; the service answers with `'stop'`. Everything else travels as AMQP. */
export type BrokerReport = ({ report: 'ready' } & BrokerAddress) | { report: 'failed'; sentence: string };

export interface BrokerAddress {
  amqpPort: number;
  /** Absent without a certificate. */
  amqpsPort?: number;
  managementPort: number;
}

export interface BrokerProcessOptions {
  script: string;
  environment: NodeJS.ProcessEnv;
  onRestart(sentence: string): void;
  /** The broker is gone for good; the service must not live on without it. */
  onGivenUp(sentence: string): void;
}

const STOP_MS_MAX = 5_000;

type State =
  | { is: 'starting'; child: ChildProcess }
  | { is: 'running'; child: ChildProcess }
  | { is: 'waiting-to-restart'; timer: NodeJS.Timeout }
  | { is: 'stopped' };

/**
 * The embedded broker as a process of its own. Owns the child: starts it, restarts it with back-off when it dies, ends it.
 * Should this process be killed, the IPC channel closes and the broker ends by itself.
 */
export class BrokerProcess {
  private state: State = { is: 'stopped' };
  private readonly deaths: number[] = [];
  private address: BrokerAddress | undefined;

  constructor(private readonly options: BrokerProcessOptions) {}

  /** Resolves when the broker listens. @throws Error with the broker's own sentence when it cannot start */
  start(): Promise<BrokerAddress> {
    const child = fork(this.options.script, [], {
      env: { ...this.options.environment, ...this.portsOnceKnown() },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.state = { is: 'starting', child };
    return new Promise((resolve, reject) => {
      let failure = 'the broker process ended before it was ready';
      child.on('message', (message: BrokerReport) => {
        if (message.report === 'failed') {
          failure = message.sentence;
          return;
        }
        this.state = { is: 'running', child };
        const { report: _, ...address } = message;
        this.address = address;
        resolve(this.address);
      });
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        const wasRunning = this.state.is === 'running';
        if (this.state.is === 'stopped') return;
        if (!wasRunning) reject(new Error(failure));
        if (wasRunning) this.restart(`broker process ${child.pid} ended with ${signal ?? code}`);
      });
    });
  }

  /** Asks the broker to sync and end; kills it when it takes too long. */
  async stop(): Promise<void> {
    const { state } = this;
    this.state = { is: 'stopped' };
    if (state.is === 'waiting-to-restart') clearTimeout(state.timer);
    if (state.is !== 'running' && state.is !== 'starting') return;

    const { child } = state;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    if (child.connected) child.send('stop');
    const killer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await ended;
    clearTimeout(killer);
  }

  private restart(why: string): void {
    const now = Date.now();
    this.deaths.push(now);
    this.deaths.splice(0, this.deaths.length - 10);
    const decision = decideRestart(this.deaths, now);
    if (decision.restart === 'never') {
      this.state = { is: 'stopped' };
      this.options.onGivenUp(`${why}, too often within a minute`);
      return;
    }
    this.options.onRestart(`${why}; restarting it in ${decision.delayMs} ms`);
    const timer = setTimeout(() => {
      this.start().catch((error: Error) => {
        if (this.state.is !== 'stopped') this.restart(error.message);
      });
    }, decision.delayMs);
    this.state = { is: 'waiting-to-restart', timer };
  }

  /** A restarted broker takes the ports of its predecessor, also when those were picked. */
  private portsOnceKnown(): NodeJS.ProcessEnv {
    if (this.address === undefined) return {};
    const { amqpPort, amqpsPort, managementPort } = this.address;
    return {
      TOCSIN_AMQP_PORT: String(amqpPort),
      TOCSIN_MANAGEMENT_PORT: String(managementPort),
      ...(amqpsPort !== undefined && { TOCSIN_AMQPS_PORT: String(amqpsPort) }),
    };
  }
}
