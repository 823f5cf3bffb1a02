import type { Counts } from "../engine/run/counts.ts";
import type { Reading, Stepped, TeamSync } from "../engine/run/member.ts";
import type { SyncOptions } from "../engine/run/run.ts";
import type { TableRun, Verdict } from "../protocol/state-store.ts";

/*
 * What passes through Temporal: ids, counters and kinds. No rows, no states of a source, no secrets, and no texts of
 * errors, which may hold any of them: these are in the destination.
 */

/** What a sync is asked for. */
export interface SyncRequest {
  readonly connection: string;
  /** Identifies the connection's configuration. A worker with another one refuses to work on it. */
  readonly fingerprint: string;
  readonly flags: TeamSync["flags"] & Pick<SyncOptions, "tables">;
  /** A worker that is silent for so long is given up, in milliseconds. */
  readonly heartbeatTimeout: number;
  /** Of a sync that a schedule starts: when it does, as the file of connections says. */
  readonly schedule?: string;
  /** Of a sync that goes on in another history. */
  readonly begun?: Begun;
}

/** What a verify is asked for. */
export type VerifyRequest = Omit<SyncRequest, "flags" | "begun">;

/** A sync that has begun. */
export interface Begun {
  readonly sync: TeamSync;
  /** Tables that have not begun. */
  readonly tables: readonly string[];
  /** How many splits, and tables, are worked on at the same time by all workers. */
  readonly parallel: number;
  readonly attempts: number;
}

/** A connection that a worker opens. */
export type Asked = Pick<SyncRequest, "connection" | "fingerprint">;

export interface TableAsked extends Asked {
  readonly sync: TeamSync;
  readonly table: string;
  readonly attempts: number;
  readonly parallel: number;
  readonly counts: Counts;
}

interface StepAsked extends TableAsked {
  /** The pass whose splits are all read; `null`: the table begins. */
  readonly read: (Omit<Reading, "left"> & { readonly milliseconds: number; readonly isOneSnapshot: boolean }) | null;
}

interface ShareAsked extends TableAsked {
  readonly pass: string;
  readonly places: readonly number[];
  /** The share ends after the split that passes this time, in milliseconds. */
  readonly time: number;
}

/** `holder`: the task queue of the process that planned the pass, and keeps its snapshot while it is told to. */
export type Step = Stepped & { readonly holder: string };

interface Share {
  readonly counts: Counts;
  /** Splits that were not begun, because the share took long enough. */
  readonly left: readonly number[];
  readonly again: Step | null;
}

interface HoldAsked extends Asked {
  readonly run: string;
  readonly table: string;
}

/** A sync that is to begin. `run`: the id of its record. */
type SyncAsked = SyncRequest & { readonly run: string };

/** What the workflow asks workers to do. */
export interface Activities {
  /** `whole`: this destination, or this source, lets one process make the sync, by {@link syncWhole}. */
  begin(asked: SyncAsked): Promise<Begun | "whole">;
  syncWhole(asked: SyncAsked): Promise<Ended>;
  stepTable(asked: StepAsked): Promise<Step>;
  readShare(asked: ShareAsked): Promise<Share>;
  /** Keeps what this process holds at the source for a table. Ends when it is cancelled. */
  hold(asked: HoldAsked): Promise<void>;
  failTable(asked: TableAsked): Promise<void>;
  end(asked: Asked & { readonly sync: TeamSync; readonly stopped: boolean }): Promise<Ended>;
  /** `run`: the id of its record, also if it fails. */
  verify(asked: VerifyRequest & { readonly run: string }): Promise<Verified>;
}

/** What a verify found. The record in the destination says the rest. */
export interface Verified {
  readonly verdict: Verdict;
}

/** How a sync ended: how many tables in which way. The record in the destination says the rest. */
export interface Ended {
  readonly outcome: "succeeded" | "failed" | "stopped";
  readonly whole: number;
  readonly failed: number;
}

/** A table of a sync that goes on. */
export interface TableProgress {
  readonly table: string;
  /** Greater than that of every change before it. */
  readonly change: number;
  readonly outcome: TableRun["outcome"];
  readonly pass: string | null;
  readonly splits: number;
  readonly splitsDone: number;
  readonly counts: Counts;
}

/** Asked with the last change that was told. Resolves to some tables that changed since, in the order of their changes. */
export const progressQuery = "progress";
export const workflowType = "syncConnection";
export const verifyWorkflowType = "verifyConnection";

/** The workflow that syncs a connection. If a schedule starts it, Temporal adds the moment. */
export function workflowId(connection: string): string {
  return `headwaters/${connection}`;
}
