import { HeadwatersError } from "../../protocol/errors.ts";
import type { SourceContext, TableOptions } from "../../protocol/source.ts";
import type { Table } from "../../protocol/table.ts";
import { refusedTable } from "../../toolkit/refused-table.ts";
import { RespError, unknownCommand } from "../../wire/resp/errors.ts";
import { deniedPart } from "./errors.ts";
import { entriesTable, type EntryKind, entryKinds } from "./entries/entries.ts";
import { type Expanded, expandedOf, expandedTable } from "./expanded/expanded.ts";
import { keyspaceTable } from "./keys/keyspace.ts";
import { KeyReader } from "./keys/key-reader.ts";
import { keyRows } from "./keys/key-rows.ts";
import type { ReadContext } from "./read-context.ts";
import type { ServerInfo } from "./server.ts";
import { walkKeys } from "./scan/walk-keys.ts";

/** Keys that are sampled for columns before the first key is copied. */
const sampledKeys = 1_000;

/** The tables for all keys, for samples of series and for entries of streams, and the expanded tables. */
export async function discoverTables(
  context: ReadContext,
  { tables: options }: SourceContext,
  server: ServerInfo,
): Promise<readonly Table[]> {
  const { configuration } = context;
  const found = new Map<string, Table>();
  const add = async (id: string, describe: () => Table | null | Promise<Table | null>): Promise<void> => {
    try {
      if (found.has(id)) throw namedTwice(id);
      const table = await describe();
      if (table !== null) found.set(id, table);
    } catch (thrown) {
      context.signal.throwIfAborted();
      found.set(id, refusedTable(id, thrown));
    }
  };
  const own = configuration.table_name;
  await add(own, () => {
    checkFixed(own, options[own]);
    return keyspaceTable(configuration, server);
  });
  for (const kind of entryKinds) {
    if (!configuration[kind.setting]) continue;
    const table = entriesTable(kind, configuration);
    await add(table.id, async () => {
      checkFixed(table.id, options[table.id]);
      return (await knows(context, kind)) ? table : null;
    });
  }
  for (const [id, entry] of Object.entries(configuration.tables)) {
    await add(id, async () => {
      const expanded = expandedOf(id, entry, options[id]);
      const table = expandedTable(expanded, options[id]);
      return expanded.open ? sampled(context, table, expanded, server.now) : table;
    });
  }
  return [...found.values()];
}

function namedTwice(id: string): HeadwatersError {
  return new HeadwatersError("CONFIGURATION_INVALID", `tables: "${id}" is the name of two tables`, {
    hint: "Give it another name; table_name, and with _timeseries and _streams behind it, are taken.",
  });
}

/** Throws if the user sets a cursor or types for a table with fixed columns, because they would be ignored. */
function checkFixed(id: string, options: TableOptions | undefined): void {
  // `null` means no cursor (mode: full), which the engine handles.
  if (typeof options?.cursor === "string") {
    throw new HeadwatersError("CURSOR_INVALID", `overrides.${id}.cursor: how this table's changes are found is fixed`, {
      hint: "Leave the cursor out.",
    });
  }
  if (Object.keys(options?.types ?? {}).length === 0) return;
  throw new HeadwatersError(
    "CONFIGURATION_INVALID",
    `overrides.${id}.types: the columns of this table have fixed types`,
    {
      hint: "Leave them out; columns of types of your own can be declared under tables, in the source's settings.",
    },
  );
}

/** Whether the server has the commands for such keys. If it has them, it answers that the key is missing or empty. */
async function knows({ pool, signal }: ReadContext, kind: EntryKind): Promise<boolean> {
  return pool.with(signal, async (connection) => {
    try {
      await connection.call(kind.command, "headwaters:no such key", "-", "+", "COUNT", "1");
      return true;
    } catch (thrown) {
      if (!(thrown instanceof RespError)) throw thrown;
      if (deniedPart(thrown) === "command") throw thrown;
      return unknownCommand(thrown) === null;
    }
  });
}

/**
 * The table with the columns that a sample of its keys needs. A value that does not fit its column ends the sample: the
 * error is reported when the table is read, and concerns no other table.
 */
async function sampled(context: ReadContext, table: Table, expanded: Expanded, now: number): Promise<Table> {
  const { pool, signal, configuration } = context;
  const rows = keyRows(context, table, { kind: "expanded", expanded }, "rows", now);
  const reader = new KeyReader(context, 1 << 20);
  const work = { match: expanded.glob.toString("base64"), type: null };
  const batch = { scanned: configuration.batch_size, atLeast: () => 100 };
  let wider = table;
  let keys = 0;
  try {
    for await (const asked of walkKeys(pool, work, "0", rows.questions, batch, signal)) {
      for await (const read of reader.read(asked, rows)) if (read.kind === "schema") wider = read.table;
      keys += asked.keys.count;
      if (keys >= sampledKeys) break;
    }
  } catch (thrown) {
    const misfit = thrown instanceof HeadwatersError && thrown.code === "VALUE_OUT_OF_RANGE";
    if (!misfit) throw pool.error(thrown, signal);
  }
  return wider;
}
