/** What this library asks of a logger; a pino logger fits. */
export interface MessagingLogger {
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}
