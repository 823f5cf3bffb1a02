import { verify } from "../../../src/engine/commands/verify.ts";
import type { Source, SourceContext } from "../../../src/protocol/source.ts";
import type { TableRun } from "../../../src/protocol/state-store.ts";
import { definition } from "../../../src/sources/scylladb/index.ts";
import { expect } from "vitest";
import { Copy } from "../../engine/harness.ts";
import { rowsOfScylla, withoutOurs } from "../../servers/scylladb/sides.ts";
import type { BaseTable, ScyllaStandIn } from "../../servers/scylladb/stand-in.ts";

export const { capabilities } = definition;
export const never = new AbortController().signal;

/** Partitions with rows, a static column and a set. */
export function wide(name: string): BaseTable {
  const types = { p: "int", c: "int", v: "text", tags: "set<text>", s: "text" };
  return { name, partition: ["p"], clustering: ["c"], statics: ["s"], types };
}

export function plain(name: string): BaseTable {
  return { name, partition: ["id"], clustering: [], statics: [], types: { id: "int", name: "text" } };
}

/** Two clustering columns, nothing static. */
export function deep(name: string): BaseTable {
  const types = { p: "int", a: "int", b: "int", v: "text" };
  return { name, partition: ["p"], clustering: ["a", "b"], statics: [], types };
}

const keys = ["p", "c", "a", "b", "id"];

/** What a test does with a stand-in. */
export type Tools = ReturnType<typeof toolsOf>;

export const wait = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));
/** Until what was written lies in a window that is read. */
export const settled = (): Promise<void> => wait(1_300);
/** Windows are read again for a moment only. */
export const short = { stream_overlap: 1 };

export function toolsOf(scylla: ScyllaStandIn) {
  async function open(
    more: Readonly<Record<string, unknown>> = {},
    context: Partial<SourceContext> = {},
  ): Promise<Source & { readonly warnings: string[] }> {
    const warnings: string[] = [];
    const source = await definition.open(definition.configuration.parse(scylla.settings(more)), {
      log: { debug: () => {}, info: () => {}, warn: (message) => void warnings.push(message) },
      ...{ tables: {}, types: "exact", signal: never },
      ...context,
    });
    return Object.assign(source, { warnings });
  }

  async function sync(
    copy: Copy,
    only: readonly string[],
    more: Readonly<Record<string, unknown>> = {},
    options: NonNullable<Parameters<Copy["sync"]>[1]> = {},
    context: Partial<SourceContext> = {},
  ): Promise<Record<string, TableRun>> {
    await using source = await open(more, context);
    const settings = { deletes: "auto" as const, ...options.settings };
    const run = await copy.sync(source, { capabilities, ...options, settings, only });
    copy.warnings.push(...source.warnings);
    return Object.fromEntries(run.tables.map((table) => [table.table, table]));
  }

  async function expectEqual(copy: Copy, table: string): Promise<void> {
    const rows = await copy.query(`SELECT * FROM s."${table}" WHERE NOT _headwaters_deleted`);
    expect(withoutOurs(rows), table).toEqual(await rowsOfScylla(scylla.server, table, keys));
  }

  async function verdict(copy: Copy, table: string): Promise<string> {
    await using source = await open();
    await using warehouse = await copy.open();
    const selection = { include: [table], exclude: [] };
    const connection = copy.connection(source, warehouse, { capabilities, selection });
    const report = await verify(connection, { signal: never }, () => {});
    return report.verdict;
  }

  return { open, sync, expectEqual, verdict };
}
