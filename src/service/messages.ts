import type { RunsAsked, SchemaChange } from "../protocol/readable.ts";
import type { ErrorReport, LogLine, StreamReport, TableProgress, TableReport } from "./api.ts";
import type { RunKind, RunRecord, Trigger } from "../protocol/state-store.ts";

/** The file of connections that is in use. */
export interface Configuration {
  readonly file: string;
  /** The folder that its path, if it is relative, starts at. */
  readonly folder: string;
  readonly text: string;
}

/** A run for a worker. */
export interface Task {
  readonly run: string;
  readonly connection: string;
  readonly kind: RunKind;
  readonly trigger: Trigger;
  /** Only these tables; empty: all that are selected. */
  readonly tables: readonly string[];
  readonly sweep?: boolean;
  readonly full?: boolean;
  readonly acceptScope?: boolean;
  /** Deletes that a person agreed to: at most this many of the one table. */
  readonly acceptDeletes?: number;
}

/** What a person or a schedule asks for. */
export type Asked = Omit<Task, "run" | "connection" | "trigger">;

/** What the service asks a worker of a connection. A worker knows the destination; the service never opens it. */
export type Question =
  /** `recount`: the tables whose rows are counted; `null`: all. `changes`: at most so many changes of schemas. */
  | { readonly kind: "copies"; readonly recount: readonly string[] | null; readonly changes: number }
  | { readonly kind: "runs"; readonly which: RunsAsked; readonly limit: number };

/** Which answer belongs to which question. */
export interface Answers {
  readonly copies: { readonly tables: readonly TableReport[]; readonly changes: readonly SchemaChange[] };
  readonly runs: readonly RunRecord[];
}

export type ToWorker =
  | {
      readonly kind: "run";
      readonly task: Task;
      readonly memoryBytes: number | null;
      readonly keepRuns: number;
      readonly configuration: Configuration;
    }
  | { readonly kind: "stop"; readonly run: string }
  | {
      readonly kind: "ask";
      readonly ask: number;
      readonly connection: string;
      readonly question: Question;
      readonly configuration: Configuration;
    };

/** Nothing in it is a secret. */
export type FromWorker =
  | { readonly kind: "ready" }
  | { readonly kind: "record"; readonly run: string; readonly record: RunRecord }
  | { readonly kind: "progress"; readonly run: string; readonly tables: readonly TableProgress[] }
  | { readonly kind: "stream"; readonly run: string; readonly stream: StreamReport }
  /** A table is read whole, since its changes can't be known any more. `reason` ends a sentence. */
  | { readonly kind: "lost"; readonly run: string; readonly table: string; readonly reason: string }
  /** A reading of a table failed, and is tried again in the same run. */
  | { readonly kind: "retry"; readonly run: string; readonly code: string }
  | { readonly kind: "line"; readonly run: string; readonly line: LogLine }
  /** The run is over: its last record came before. */
  | { readonly kind: "ended"; readonly run: string; readonly error: ErrorReport | null }
  | { readonly kind: "answer"; readonly ask: number; readonly answer: Answers[keyof Answers] }
  | { readonly kind: "refused"; readonly ask: number; readonly error: ErrorReport }
  /** What its process holds in memory. */
  | { readonly kind: "memory"; readonly residentBytes: number };
