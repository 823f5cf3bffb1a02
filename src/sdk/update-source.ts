import { failedCheck } from "../toolkit/checks.ts";
import type { z } from "zod";
import { HeadwatersError } from "../protocol/errors.ts";
import type { Json } from "../protocol/json.ts";
import type { Operation } from "../protocol/operation.ts";
import type { Pass, PassKind, Plan, Split } from "../protocol/pass.ts";
import type { Rows } from "../protocol/rows.ts";
import type { CheckResult, Reading, Source, SourceContext } from "../protocol/source.ts";
import type { Table } from "../protocol/table.ts";
import { explain } from "./errors.ts";
import { mistake, shown } from "./mistake.ts";
import { OperationMaker, type UpdateOperation } from "./operations.ts";
import type { Tables } from "./row-types.ts";
import { calledAs } from "./rows.ts";
import { type DeclaredTable, declaredTables, tableOf } from "./schema.ts";
import { emptyState, givenState, keptState } from "./state.ts";
import { OperationBuffer } from "./operation-buffer.ts";
import { Steps } from "./steps.ts";
import { TableBatches } from "./table-batches.ts";

/** A source with an `update()`, without its types. */
export interface Behaviour {
  readonly name: string;
  readonly state: z.ZodType;
  schema(): Tables | Promise<Tables>;
  check(signal: AbortSignal): Promise<string | void>;
  update(
    operations: OperationMaker,
    state: unknown,
    signal: AbortSignal,
  ): AsyncIterable<UpdateOperation | readonly UpdateOperation[]>;
}

/**
 * A `Source` made from an `update()`. All tables are one split of one `stream` pass, since they share one state. The state
 * of the split is what `update()` checkpoints; the next pass begins with the state that the last one ended with.
 */
export class UpdateSource implements Source {
  readonly #behaviour: Behaviour;
  readonly #context: SourceContext;
  #tables: Promise<ReadonlyMap<string, DeclaredTable>> | null = null;

  constructor(behaviour: Behaviour, context: SourceContext) {
    this.#behaviour = behaviour;
    this.#context = context;
  }

  async *check(signal: AbortSignal): AsyncGenerator<CheckResult> {
    const { name } = this.#behaviour;
    yield await looked("schema", "Make the schema", name, async () => {
      const tables = await this.#declared();
      return [...tables.keys()].join(", ");
    });
    yield await looked("source", "Ask the source", name, async () => this.#behaviour.check(signal));
  }

  async discover(): Promise<readonly Table[]> {
    return [...(await this.#declared()).values()].map((table) => tableOf(table, this.#behaviour.name));
  }

  /**
   * Goes on from the state of the last pass if that pass had every table. Otherwise starts over from an empty state: a
   * new table may have rows from before that pass.
   */
  async plan(tables: readonly Table[], kind: PassKind, previous: Readonly<Record<string, Json>>): Promise<Plan> {
    if (kind !== "stream") throw new HeadwatersError("DEFECT", `a source with update() can't plan a ${kind} pass`);
    const ids = tables.map((table) => table.id);
    const states = ids.map((id) => JSON.stringify(previous[id] ?? null));
    const same = states.every((state) => state === states[0]);
    if (!same) {
      const fresh = ids.filter((id) => (previous[id] ?? null) === null);
      const why = fresh.length > 0 ? `${fresh.join(", ")} has no copy yet` : "its tables were last read separately";
      this.#context.log.info(`source "${this.#behaviour.name}" starts over from an empty state: ${why}`);
    }
    const start = same ? (previous[ids[0]!] ?? null) : null;
    return {
      splits: [{ id: "update", tables: ids, work: start }],
      next: {},
      asOf: new Date().toISOString(),
      snapshot: null,
      ...(start === null ? { startsOver: true } : {}),
    };
  }

  async resume(pass: Pass): Promise<Pass> {
    return pass;
  }

  async *read(pass: Pass, split: Split, state: Json, how: Reading): AsyncGenerator<Operation, void> {
    const { name, state: schema } = this.#behaviour;
    const start = state ?? split.work ?? emptyState;
    const declared = await this.#declared();
    const batches = new Map<string, TableBatches>();
    for (const table of pass.tables) {
      const declaration = declared.get(table.id);
      if (declaration === undefined)
        throw new HeadwatersError(
          "TABLE_UNKNOWN",
          `the schema of source "${name}" no longer has the table "${table.id}"`,
        );
      batches.set(table.id, new TableBatches(declaration, table, (message) => this.#context.log.warn(message)));
    }
    const maker = new OperationMaker(name, declared, (given) => keptState(given, schema));
    const buffer = new OperationBuffer(batches, how.batchBytes);
    let last = start;
    try {
      const updates = this.#behaviour.update(maker, givenState(start, schema, name), how.signal);
      await using steps = new Steps(updates, how.signal);
      for (;;) {
        const step = await steps.next(buffer.due);
        if (step === null) {
          yield* buffer.send();
          continue;
        }
        if (step.done === true) break;
        const yielded = step.value;
        for (const operation of several(yielded) ? yielded : [yielded]) {
          if (!maker.unyielded.delete(operation)) throw notMade(operation, name);
          if (operation.kind === "checkpoint") last = operation.state;
          yield* buffer.take(operation);
        }
      }
      const [forgotten] = maker.unyielded;
      if (forgotten !== undefined) throw notYielded(forgotten as UpdateOperation);
    } catch (thrown) {
      yield* buffer.send();
      how.signal.throwIfAborted();
      throw explain(thrown, name);
    }
    // What came after the last checkpoint is complete too, since the update has ended. The state stays.
    yield* buffer.finish();
    how.signal.throwIfAborted();
    yield { kind: "checkpoint", state: last };
  }

  // oxlint-disable-next-line require-yield
  async *lookup(table: Table): AsyncGenerator<Rows> {
    throw new HeadwatersError("DEFECT", `rows of table "${table.id}" can't be looked up: its source only has update()`);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** The schema is requested once: tables must not change while they are read. */
  #declared(): Promise<ReadonlyMap<string, DeclaredTable>> {
    this.#tables ??= this.#declare().catch((thrown: unknown) => {
      this.#tables = null;
      throw explain(thrown, this.#behaviour.name);
    });
    return this.#tables;
  }

  async #declare(): Promise<ReadonlyMap<string, DeclaredTable>> {
    const replaced = Object.entries(this.#context.tables).map(([id, { types }]) => [id, types ?? {}] as const);
    return declaredTables(await this.#behaviour.schema(), Object.fromEntries(replaced));
  }
}

function several(yielded: UpdateOperation | readonly UpdateOperation[]): yielded is readonly UpdateOperation[] {
  return Array.isArray(yielded);
}

async function looked(
  name: string,
  label: string,
  source: string,
  look: () => Promise<string | void>,
): Promise<CheckResult> {
  try {
    return { name, label, status: "ok", message: (await look()) ?? "" };
  } catch (thrown) {
    return failedCheck(name, label, explain(thrown, source));
  }
}

function notMade(value: unknown, source: string): HeadwatersError {
  return mistake(
    `source "${source}": update() yielded ${shown(value)}, or an operation twice`,
    'Yield the operations that the functions of update() return: yield upsert("table", row).',
  );
}

function notYielded(operation: UpdateOperation): HeadwatersError {
  const what =
    operation.kind === "checkpoint"
      ? operation.kind
      : `${operation.kind === "truncate" ? operation.kind : calledAs[operation.kind]}("${operation.table.id}", …)`;
  return mistake(
    `${what} was called, but its operation was not yielded`,
    `Write: yield ${what}. Then run with --full.`,
  );
}
