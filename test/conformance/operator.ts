import { TextReader } from './field-text.js';

export type UserLimit = 'max-connections' | 'max-channels';
export type VirtualHostLimit = 'max-connections' | 'max-queues';

/** Who runs a broker: does what no client can do over AMQP. What it did holds when the promise resolves. */
export interface Operator {
  /** With its own name as password, and no rights. */
  addUser(name: string): Promise<void>;
  deleteUser(name: string): Promise<void>;
  addVirtualHost(name: string): Promise<void>;
  deleteVirtualHost(name: string): Promise<void>;
  permit(user: string, virtualHost: string, configure: string, write: string, read: string): Promise<void>;
  permitTopics(user: string, virtualHost: string, exchange: string, write: string, read: string): Promise<void>;
  limitUser(name: string, limit: UserLimit, value: number): Promise<void>;
  limitVirtualHost(name: string, limit: VirtualHostLimit, value: number): Promise<void>;
  raiseMemoryAlarm(): Promise<void>;
  clearMemoryAlarm(): Promise<void>;
}

/** By the first words of a line; what follows are the arguments. */
const ACTIONS: Readonly<Record<string, (operator: Operator, words: string[]) => Promise<void>>> = {
  'add-user': (operator, [name]) => operator.addUser(name!),
  'delete-user': (operator, [name]) => operator.deleteUser(name!),
  'add-vhost': (operator, [name]) => operator.addVirtualHost(name!),
  'delete-vhost': (operator, [name]) => operator.deleteVirtualHost(name!),
  permit: (operator, [user, virtualHost, configure, write, read]) =>
    operator.permit(user!, virtualHost!, configure!, write!, read!),
  'permit-topics': (operator, [user, virtualHost, exchange, write, read]) =>
    operator.permitTopics(user!, virtualHost!, exchange!, write!, read!),
  'limit-user': (operator, [name, limit, value]) => operator.limitUser(name!, limit as UserLimit, Number(value)),
  'limit-vhost': (operator, [name, limit, value]) =>
    operator.limitVirtualHost(name!, limit as VirtualHostLimit, Number(value)),
  'memory-alarm': (operator) => operator.raiseMemoryAlarm(),
  'memory-alarm-over': (operator) => operator.clearMemoryAlarm(),
};

/** Does what one line says. Throws for what is no line of an operator. */
export async function operate(operator: Operator, text: string): Promise<void> {
  const reader = new TextReader(text);
  const words: string[] = [];
  while (!reader.isAtEnd) words.push(reader.word());
  const [action = '', ...rest] = words;
  const act = ACTIONS[action];
  if (act === undefined)
    throw new Error(`an operator cannot '${action}': there are ${Object.keys(ACTIONS).join(', ')}`);
  await act(operator, rest);
}
