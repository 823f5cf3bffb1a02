import assert from "node:assert/strict";
import type { Json } from "../protocol/json.ts";
import type { Operation } from "../protocol/operation.ts";
import type { Pass } from "../protocol/pass.ts";
import type { Reading, Source, SourceDefinition } from "../protocol/source.ts";
import type { Table } from "../protocol/table.ts";
import type { Check } from "./check.ts";
import { copied } from "./copied.ts";
import { assertWellFormed } from "./well-formed.ts";

/** What the suite needs of a source with `update()`. What it reads must not change, except by `change`. */
export interface UpdateHarness {
  readonly source: SourceDefinition;
  /** Its settings, as in `configuration.json`. */
  readonly configuration?: unknown;
  /**
   * Changes what the source reads in every way that the source notices: new rows, other values, and removed rows if it
   * finds them. Called several times. Left out: nothing about changes is checked.
   */
  change?(): Promise<void>;
}

/** In bytes. States are stored with every commit, and sent to Fivetran with every checkpoint. */
const largestState = 64 << 10;
/** If there are more checkpoints, this many are tried, evenly spread. */
const triedCheckpoints = 12;

/** The checks for a source with `update()`. */
export function updateChecks(harness: UpdateHarness): readonly Check[] {
  return checks
    .filter(({ changes }) => changes !== true || harness.change !== undefined)
    .map(({ name, run }) => ({ name, run: () => run(harness) }));
}

interface UpdateCheck {
  readonly name: string;
  /** It needs {@link UpdateHarness.change}. */
  readonly changes?: true;
  run(harness: UpdateHarness): Promise<void>;
}

const checks: readonly UpdateCheck[] = [
  {
    name: "takes its settings, and finds nothing wrong",
    async run(harness) {
      await using source = await open(harness);
      for await (const { label, status, message } of source.check(new AbortController().signal))
        assert.notEqual(status, "failed", `${label}: ${message}`);
    },
  },
  {
    name: "shows the same tables when it is asked again",
    async run(harness) {
      await using source = await open(harness);
      await using other = await open(harness);
      const signal = new AbortController().signal;
      assert.deepEqual(await other.discover(signal), await source.discover(signal));
    },
  },
  {
    name: "reads rows, and states that are small",
    async run(harness) {
      const operations = await update(harness, null);
      assert.ok(
        operations.some((operation) => "rows" in operation),
        "an update from the start yields at least one row: otherwise the other checks prove nothing",
      );
      for (const { state } of operations.filter((operation) => operation.kind === "checkpoint")) {
        const size = Buffer.byteLength(JSON.stringify(state));
        assert.ok(size <= largestState, `a state of ${size} bytes: at most ${largestState} are allowed`);
      }
    },
  },
  {
    name: "goes on from every checkpoint to the same end",
    async run(harness) {
      const tables = await tablesOf(harness);
      const whole = await update(harness, null);
      const expected = copied(tables, whole);
      const cuts = whole.flatMap((operation, at) => (operation.kind === "checkpoint" ? [at] : []));
      const every = Math.ceil(cuts.length / triedCheckpoints);
      for (const [number, at] of cuts.entries()) {
        if (number % every !== 0) continue;
        const { state } = whole[at] as Operation & { kind: "checkpoint" };
        assert.deepEqual(
          copied(tables, [...whole.slice(0, at), ...(await update(harness, state))]),
          expected,
          `interrupted after checkpoint ${number + 1} of ${cuts.length}, and resumed from the state ${JSON.stringify(state)}`,
        );
      }
    },
  },
  {
    name: "changes nothing where nothing changed",
    async run(harness) {
      const tables = await tablesOf(harness);
      const first = await update(harness, null);
      const again = await update(harness, lastState(first));
      assert.deepEqual(copied(tables, [...first, ...again]), copied(tables, first));
    },
  },
  {
    name: "updates a copy to what a fresh one has",
    changes: true,
    async run(harness) {
      const tables = await tablesOf(harness);
      const operations = await update(harness, null);
      for (let round = 1; round <= 3; round++) {
        const before = copied(tables, operations);
        await harness.change!();
        operations.push(...(await update(harness, lastState(operations))));
        const fresh = copied(tables, await update(harness, null));
        assert.notDeepEqual(fresh, before, "change() changes what the source reads");
        assert.deepEqual(copied(tables, operations), fresh, `after ${round} rounds of changes`);
      }
    },
  },
  {
    name: "can be left in the middle, and begun anew",
    async run(harness) {
      await using source = await open(harness);
      const pass = await planned(source, null);
      for await (const operation of source.read(pass, pass.splits[0]!, null, reading())) if ("rows" in operation) break;
      const tables = await tablesOf(harness);
      const expected = copied(tables, await update(harness, null));
      assert.deepEqual(copied(tables, await update(harness, null)), expected);
    },
  },
  {
    name: "never looks complete when it was stopped",
    async run(harness) {
      await using source = await open(harness);
      const pass = await planned(source, null);
      const stop = new AbortController();
      await assert.rejects(async () => {
        for await (const _ of source.read(pass, pass.splits[0]!, null, reading(stop.signal)))
          stop.abort(new Error("stopped"));
      });
    },
  },
];

async function open({ source, configuration = {} }: UpdateHarness): Promise<Source> {
  const log = { debug: () => {}, info: () => {}, warn: () => {} };
  const { signal } = new AbortController();
  return source.open(source.configuration.parse(configuration), { log, tables: {}, types: "exact", signal });
}

async function tablesOf(harness: UpdateHarness): Promise<readonly Table[]> {
  await using source = await open(harness);
  return await source.discover(new AbortController().signal);
}

function reading(signal = new AbortController().signal): Reading {
  // So small that every checkpoint is sent, however few rows precede it.
  return { signal, batchBytes: 1, until: "caught up", path: "fast" };
}

async function planned(source: Source, state: Json): Promise<Pass> {
  const { signal } = new AbortController();
  const tables: readonly Table[] = await source.discover(signal);
  const previous = state === null ? {} : Object.fromEntries(tables.map(({ id }) => [id, state]));
  const plan = await source.plan(tables, "stream", previous, signal);
  const opened = new Date().toISOString();
  return { ...plan, id: "p", kind: "stream", tables, opened, scope: "s", replace: false };
}

/** All operations of one update. Opens the source for it, as another process would. */
async function update(harness: UpdateHarness, state: Json): Promise<Operation[]> {
  await using source = await open(harness);
  const pass = await planned(source, state);
  const operations: Operation[] = [];
  for (const split of pass.splits) {
    for await (const operation of source.read(pass, split, null, reading())) {
      if ("rows" in operation) assertWellFormed(operation.rows);
      operations.push(operation);
    }
  }
  return operations;
}

function lastState(operations: readonly Operation[]): Json {
  return operations.findLast((operation) => operation.kind === "checkpoint")?.state ?? null;
}
