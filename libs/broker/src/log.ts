/** Where the broker reports; a pino logger fits. */
export interface BrokerLog {
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

export const SILENT_LOG: BrokerLog = { info() {}, warn() {}, error() {} };
