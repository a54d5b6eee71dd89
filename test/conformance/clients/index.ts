import { amqpTools } from './amqp-tools.js';
import { amqplib } from './amqplib.js';
import { celery } from './celery.js';
import type { ClientSuite } from './client-suite.js';
import { pika } from './pika.js';
import { rabbitmqClient } from './rabbitmq-client.js';
import { tutorials } from './tutorials.js';

/** Every third-party client that is tried. To add one: a file beside these, a line here. */
export const CLIENT_SUITES: readonly ClientSuite[] = [amqplib, rabbitmqClient, pika, amqpTools, celery, tutorials];
