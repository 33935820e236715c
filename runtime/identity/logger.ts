/** Where identity and discovery tell what they do; a pino logger fits. */
export interface Logger {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}
