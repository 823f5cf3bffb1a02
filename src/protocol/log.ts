/** Where sources, destinations and the engine say what a user should know. Secrets are redacted behind it. */
export interface Log {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
}
