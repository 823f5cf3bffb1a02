/** Where sources, destinations and the engine log what a user should know. Secrets are redacted afterwards. */
export interface Log {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
}
