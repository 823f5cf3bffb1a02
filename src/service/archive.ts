import type { RunsAsked } from "../protocol/readable.ts";
import type { RunRecord } from "../protocol/state-store.ts";
import type { LogLine, Run, SchemaChange, TableReport } from "./api.ts";
import type { Host } from "./host.ts";
import { runReport, tableRunReport } from "./reports.ts";
import { updates } from "./due.ts";
import { runsUnderWay, underWay, type Unit, withMoments } from "./unit.ts";

/** Asks the worker of a connection. */
interface Asking {
  /** The runs in the destination, whoever made them. */
  stored(unit: Unit, which: RunsAsked, limit: number): Promise<readonly RunRecord[]>;
  /** Asks it to look at the copies, or waits for a look under way. If it can't, nothing is known afterwards either. */
  look(unit: Unit): Promise<void>;
}

/** The past: runs of this machine and of the destination, their logs, tables and schema changes. */
export class Archive {
  readonly #units: ReadonlyMap<string, Unit>;
  readonly #host: Pick<Host, "runLog">;
  readonly #asking: Asking;

  constructor(units: ReadonlyMap<string, Unit>, host: Pick<Host, "runLog">, asking: Asking) {
    this.#units = units;
    this.#host = host;
    this.#asking = asking;
  }

  /** The runs of a connection, newest first, with the one under way: of this machine, and of the destination. */
  async runs(
    name: string,
    { kind, before, limit }: Required<Omit<RunsAsked, "id">> & { limit: number },
  ): Promise<readonly Run[] | null> {
    const unit = this.#units.get(name);
    if (unit === undefined) return null;
    const known = [...runsUnderWay(unit).map(underWay), ...unit.runs];
    const fitting = known.filter(
      (run) => (kind ?? run.kind ?? "sync") === (run.kind ?? "sync") && run.started < (before ?? "9"),
    );
    const ids = new Set(known.map(({ id }) => id));
    const isKnown = fitting.length >= limit || unit.hasAllRuns;
    const older = isKnown ? [] : await this.#asking.stored(unit, { kind, before }, limit);
    const stored = older.filter(({ id }) => !ids.has(id)).map((run) => closed(run, unit.runs));
    const isAll = !isKnown && kind === null && before === null && older.length < limit && stored.length === 0;
    if (isAll && older.length > 0) unit.hasAllRuns = true;
    return [...known, ...stored]
      .sort((a, b) => (a.started < b.started ? 1 : -1))
      .map((record) => runReport(name, record))
      .filter((run) => (kind === null || run.kind === kind) && (before === null || run.started < before))
      .slice(0, limit);
  }

  /** A run, with the name of its connection. */
  async run(id: string): Promise<{ readonly connection: string; readonly record: RunRecord } | null> {
    for (const [connection, unit] of this.#units) {
      const active = [unit.active, unit.following].find((one) => one?.task.run === id) ?? null;
      const record = active === null ? unit.runs.find((run) => run.id === id) : underWay(active);
      if (record !== undefined) return { connection, record };
    }
    if (!/^[0-9a-f-]{36}$/.test(id)) return null;
    for (const [connection, unit] of this.#units) {
      if (unit.hasAllRuns) continue;
      const [record] = await this.#asking.stored(unit, { id }, 1);
      if (record !== undefined) return { connection, record };
    }
    return null;
  }

  async runLog(id: string): Promise<readonly LogLine[] | null> {
    const found = await this.run(id);
    return found === null ? null : (this.#host.runLog(found.connection, id) ?? []);
  }

  async schemaChanges(name: string): Promise<readonly SchemaChange[] | null> {
    const unit = this.#units.get(name);
    if (unit === undefined) return null;
    // A request after a run has ended is about what the run changed.
    if (unit.changes === null || unit.looking !== null) await this.#asking.look(unit);
    return (unit.changes ?? []).map((change) => ({ ...change, connection: name }));
  }

  /** The tables of a connection, with what its last sync did to each. */
  async tables(name: string): Promise<readonly TableReport[] | null> {
    const unit = this.#units.get(name);
    if (unit === undefined) return null;
    if (unit.tables === null) await this.#asking.look(unit);
    const syncs = [...(unit.following === null ? [] : [unit.following.record]), ...unit.runs.filter(updates)];
    return withMoments(unit.tables ?? [], unit).map((report) => {
      const last = syncs.flatMap(({ tables }) => tables.find(({ table }) => table === report.table) ?? [])[0];
      return last === undefined ? report : { ...report, last: tableRunReport(last) };
    });
  }
}

/** There is one writer: a sync without a stored end is over once a later one has ended. */
export function closed(run: RunRecord, later: readonly RunRecord[]): RunRecord {
  const isOver = later.some(
    ({ kind, started, outcome }) => kind !== "verify" && outcome === "succeeded" && started > run.started,
  );
  return run.outcome === "running" && isOver ? { ...run, outcome: "died" } : run;
}
