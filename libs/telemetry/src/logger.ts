import { type Bindings, type ChildLoggerOptions, type DestinationStream, destination, type Logger, pino } from 'pino';
import { redactor } from './redact.js';

export type { Logger } from 'pino';

export interface LoggerOptions {
  /** Which process: api, dispatcher, worker, broker, tocsin. */
  name: string;
  /** Default: info. */
  level?: string;
  /** Values that no line may show, whatever field or text they stand in. */
  secrets?: readonly string[];
  /** Default: stderr, as stdout belongs to the `tocsin ready` line. */
  stream?: DestinationStream;
}

/** Lines of JSON, time in ISO 8601. Written synchronously, so that the last line before a crash is there. */
export function createLogger({ name, level = 'info', secrets = [], stream }: LoggerOptions): Logger {
  const redact = redactor(secrets);
  const logger = pino(
    {
      level,
      base: { process: name, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => redact(fields) as Record<string, unknown>,
      },
      hooks: {
        logMethod(values, method) {
          const clean = values.map((value) => (typeof value === 'string' ? redact(value) : value));
          method.apply(this, clean as Parameters<typeof method>);
        },
      },
      // `log` above has turned errors into plain fields before a serializer would see them.
      serializers: { err: (error: unknown) => error },
    },
    stream ?? destination({ dest: 2, sync: true }),
  );
  // pino formats the bindings of a root only; children inherit this method.
  const makeChild: (this: Logger, bindings: Bindings, options?: ChildLoggerOptions) => Logger = logger.child;
  logger.child = function (this: Logger, bindings: Bindings, options?: ChildLoggerOptions) {
    return makeChild.call(this, redact(bindings) as Bindings, options);
  } as unknown as typeof logger.child;
  return logger;
}
