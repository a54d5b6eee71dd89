import { type RabbitmqServer, waitFor } from '#testing';
import type { Operator, UserLimit, VirtualHostLimit } from './operator.js';

const ALARM_MS_MAX = 30_000;

/** RabbitMQ's, over its management API; alarms by rabbitmqctl. */
export class RabbitmqOperator implements Operator {
  constructor(private readonly rabbitmq: RabbitmqServer) {}

  addUser(name: string): Promise<void> {
    return this.#does('PUT', ['users', name], { password: name, tags: '' });
  }

  deleteUser(name: string): Promise<void> {
    return this.#does('DELETE', ['users', name]);
  }

  addVirtualHost(name: string): Promise<void> {
    return this.#does('PUT', ['vhosts', name], {});
  }

  deleteVirtualHost(name: string): Promise<void> {
    return this.#does('DELETE', ['vhosts', name]);
  }

  permit(user: string, virtualHost: string, configure: string, write: string, read: string): Promise<void> {
    return this.#does('PUT', ['permissions', virtualHost, user], { configure, write, read });
  }

  permitTopics(user: string, virtualHost: string, exchange: string, write: string, read: string): Promise<void> {
    return this.#does('PUT', ['topic-permissions', virtualHost, user], { exchange, write, read });
  }

  limitUser(name: string, limit: UserLimit, value: number): Promise<void> {
    return this.#does('PUT', ['user-limits', name, limit], { value });
  }

  limitVirtualHost(name: string, limit: VirtualHostLimit, value: number): Promise<void> {
    return this.#does('PUT', ['vhost-limits', name, limit], { value });
  }

  async raiseMemoryAlarm(): Promise<void> {
    await this.rabbitmq.control('set_vm_memory_high_watermark', '0.0001');
    await this.#alarmCheckAnswers(503);
  }

  async clearMemoryAlarm(): Promise<void> {
    await this.rabbitmq.control('set_vm_memory_high_watermark', '0.4');
    await this.#alarmCheckAnswers(200);
  }

  async #alarmCheckAnswers(status: number): Promise<void> {
    await waitFor(async () => (await this.#ask('GET', ['health', 'checks', 'alarms'])).status === status, {
      timeoutMs: ALARM_MS_MAX,
      what: `RabbitMQ's alarm check to answer ${status}`,
    });
  }

  async #does(method: string, path: string[], body?: object): Promise<void> {
    const { ok, status } = await this.#ask(method, path, body);
    if (!ok) throw new Error(`RabbitMQ answered ${status} to ${method} ${path.join(' ')}`);
  }

  async #ask(method: string, path: string[], body?: object): Promise<Response> {
    const answer = await fetch(`${this.rabbitmq.managementUrl}/api/${path.map(encodeURIComponent).join('/')}`, {
      method,
      headers: {
        authorization: `Basic ${Buffer.from('guest:guest').toString('base64')}`,
        'content-type': 'application/json',
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    // Read to the end, so that the connection is free for the next call.
    await answer.arrayBuffer();
    return answer;
  }
}
