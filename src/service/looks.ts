import type { RunRecord } from "../protocol/state-store.ts";
import { recordsDue, takeRecords } from "./handed-over.ts";
import type { Answers, Question } from "./messages.ts";
import type { Unit } from "./unit.ts";

/** How many schema changes are reported. */
const mostSchemaChanges = 500;

/** The waits until a failed look at copies is tried again, in milliseconds: each is twice the one before. */
const waits = { first: 1_000, most: 60_000 };

type CopiesAsked = Extract<Question, { kind: "copies" }>;

interface Asking {
  /** `null`: no answer. `later`: called if there may be an answer later. */
  copies(unit: Unit, question: CopiesAsked, later: () => void): Promise<Answers["copies"] | null>;
  /** The newest runs that the destination has records of. */
  runs(unit: Unit, limit: number): Promise<readonly RunRecord[] | null>;
  /** Told of runs that workers of Temporal have made. */
  onRun(unit: Unit, run: RunRecord): void;
  now(): number;
}

/** Looks how copies stand: asks the processes that have their destinations open. */
export class Looks {
  readonly #asking: Asking;
  readonly #then: (unit: Unit) => void;

  /** `then` is called after each look, even if the worker had no answer. */
  constructor(asking: Asking, then: (unit: Unit) => void) {
    this.#asking = asking;
    this.#then = then;
  }

  /** `recount`: tables whose rows changed; `null`: all are counted. */
  at(unit: Unit, recount: readonly string[] | null): Promise<void> {
    const looking = this.#look(unit, recount).finally(() => {
      if (unit.looking === looking) unit.looking = null;
    });
    unit.looking = looking;
    return looking;
  }

  /** Makes a look that could not be made, and reads records of runs that others make, once either is due. */
  again(unit: Unit): void {
    const limit = recordsDue(unit, this.#asking.now());
    if (limit > 0) void this.#readRecords(unit, limit);
    if (unit.looking === null && unit.missed !== null && unit.missed.next <= this.#asking.now()) void this.at(unit, []);
  }

  async #readRecords(unit: Unit, limit: number): Promise<void> {
    const isFirst = unit.readAt === null;
    unit.readAt = this.#asking.now();
    const found = await this.#asking.runs(unit, limit);
    if (found === null) return;
    const ended = takeRecords(unit, found);
    // Those that ended before this process began are no news.
    if (!isFirst) for (const run of ended.toReversed()) this.#asking.onRun(unit, run);
    if (ended.length > 0) await this.at(unit, changedIn(ended));
    else this.#then(unit);
  }

  async #look(unit: Unit, asked: readonly string[] | null): Promise<void> {
    const { tables: known, missed } = unit;
    const all = known === null || asked === null || missed?.recount === null;
    const recount = all ? null : [...asked, ...(missed?.recount ?? [])];
    unit.missed = null;
    const found = await this.#asking.copies(unit, { kind: "copies", recount, changes: mostSchemaChanges }, () => {
      const wait = missed === null ? waits.first : Math.min(2 * missed.wait, waits.most);
      unit.missed = { recount, wait, next: this.#asking.now() + wait };
    });
    // If the worker can't look now, the last known state stays.
    if (found !== null) {
      unit.tables = found.tables.map((table) => ({
        ...table,
        rows: table.rows ?? known?.find((one) => one.table === table.table)?.rows ?? null,
      }));
      unit.changes = found.changes;
    }
    this.#then(unit);
  }
}

/** The tables whose rows runs have changed. */
export function changedIn(runs: readonly RunRecord[]): readonly string[] {
  const changed = runs.flatMap(({ tables }) => tables.filter((one) => one.inserted + one.updated + one.deleted > 0));
  return [...new Set(changed.map(({ table }) => table))];
}
