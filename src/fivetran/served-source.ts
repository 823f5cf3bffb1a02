import type { SourceDefinition } from "../protocol/source.ts";

/** One setting of a source, as a form shows it. */
export interface ServedSetting {
  readonly name: string;
  /** As people write it: `Consistency`. */
  readonly title: string;
  readonly description: string;
  readonly required: boolean;
  /** Its value must never be shown. */
  readonly secret: boolean;
  /** It names a file, which a form can't: it takes the file's content. */
  readonly file: boolean;
  /** JSON Schema's word; `null`: several, or text that is put in order first. */
  readonly type: string | null;
  /** The values that it can have; `null`: any of its type. */
  readonly choices: readonly string[] | null;
  readonly default: unknown;
}

/** The source that a server serves, with what the command line knows of settings and secrets. */
export interface ServedSource {
  readonly definition: SourceDefinition;
  readonly settings: readonly ServedSetting[];
  /** Checks settings, and learns their secrets. Throws `CONFIGURATION_INVALID`, naming all that is wrong. */
  configure(values: Readonly<Record<string, unknown>>): unknown;
  /** Makes a secret known. */
  hide(secret: string): void;
  /** Takes secrets out of what leaves the process. */
  redact(text: string): string;
}
