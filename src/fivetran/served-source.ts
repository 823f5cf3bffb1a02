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
  /** It names a file. A form can't do that, so it takes the content of the file. */
  readonly file: boolean;
  /** The type in JSON Schema; `null`: several, or text that is converted first. */
  readonly type: string | null;
  /** The allowed values; `null`: any of its type. */
  readonly choices: readonly string[] | null;
  readonly default: unknown;
  /** The form shows it only while another setting has this value. Absent: always. */
  readonly when?: Condition | null;
}

/** That a setting has a value. */
export interface Condition {
  readonly setting: string;
  readonly is: string | boolean;
}

/** The source that a server serves, with what the command line knows about settings and secrets. */
export interface ServedSource {
  readonly definition: SourceDefinition;
  readonly settings: readonly ServedSetting[];
  /** Validates settings, and hides their secrets. Throws `CONFIGURATION_INVALID`, which names everything that is wrong. */
  configure(values: Readonly<Record<string, unknown>>): unknown;
  /** Adds a secret that `redact` removes. */
  hide(secret: string): void;
  /** Removes secrets from text that leaves the process. */
  redact(text: string): string;
}
