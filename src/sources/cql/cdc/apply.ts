import type { Operation } from "../../../protocol/operation.ts";
import type { Reading } from "../../../protocol/source.ts";
import type { Rows } from "../../../protocol/rows.ts";
import type { Column } from "../../../protocol/table.ts";
import { PageDecoder } from "../../../wire/cql/decode-page.ts";
import { columnNames, keyPlaces } from "../catalog.ts";
import type { Finding, Lookups } from "../lookup.ts";
import type { Hint } from "./hints.ts";

type Key = Hint["cells"];

const noState = Buffer.alloc(0);

/**
 * Looks up the keys of hints, and sends the rows that exist and deletes for the others. If a hint covers several rows,
 * all of them are read, and every other row that the copy has there is deleted.
 */
export async function* applied(
  lookups: Lookups,
  finding: Finding,
  hints: readonly Hint[],
  pageSize: number,
  how: Reading,
): AsyncGenerator<Operation> {
  const { table } = finding;
  const { rows, groups } = sorted(finding, hints);
  for (const [length, prefixes] of groups) {
    yield { kind: "delete", table: table.id, rows: rowsOfKeys(finding, prefixes, length) };
    for (const prefix of prefixes)
      for await (const found of lookups.findAll(finding, prefix as readonly Buffer[], pageSize, how))
        yield { kind: "upsert", table: table.id, rows: found };
  }
  const unmet: Key[] = [];
  for await (const found of lookups.findCells(finding, rows, how, (index) => unmet.push(rows[index]!)))
    yield { kind: "upsert", table: table.id, rows: found };
  const gone: Key[] = [];
  const confirming: Reading = { ...how, confirms: true };
  for await (const found of lookups.findCells(finding, unmet, confirming, (index) => gone.push(unmet[index]!)))
    yield { kind: "upsert", table: table.id, rows: found };
  if (gone.length > 0) yield { kind: "delete", table: table.id, rows: rowsOfKeys(finding, gone, table.key.length) };
}

/**
 * Each key once: keys of single rows, unless their partition is read anyway, and keys of groups by the number of their
 * columns.
 */
function sorted(
  { native, table }: Finding,
  hints: readonly Hint[],
): { readonly rows: readonly Key[]; readonly groups: ReadonlyMap<number, readonly Key[]> } {
  const keys = new Map(hints.map(({ cells }) => [textOf(cells), cells]));
  const partition = columnNames(native, "partition_key").length;
  const isInGroup = (cells: Key): boolean => cells.length > partition && keys.has(textOf(cells.slice(0, partition)));
  const rows: Key[] = [];
  const groups = new Map<number, Key[]>();
  for (const cells of keys.values()) {
    if (isInGroup(cells)) continue;
    const alike = groups.get(cells.length) ?? [];
    if (cells.length < table.key.length) groups.set(cells.length, alike);
    (cells.length < table.key.length ? alike : rows).push(cells);
  }
  return { rows, groups };
}

function textOf(cells: Key): string {
  return cells.map((bytes) => bytes?.toString("hex") ?? "-").join(" ");
}

/** Keys as the copy has them, from the server's own form: their first `length` columns. */
function rowsOfKeys({ table, native }: Finding, keys: readonly Key[], length: number): Rows {
  const names = table.key.slice(0, length);
  const columns = names.map((name): Column => table.columns.find((column) => column.name === name)!);
  const types = names.map((name) => ({ name, type: native.columns.find((column) => column.name === name)!.type }));
  const decoder = new PageDecoder(columns, keyPlaces(native), types);
  const body = Buffer.concat(keys.flatMap((cells) => cells.flatMap((bytes) => [lengthOf(bytes), bytes ?? noState])));
  decoder.append({ body, start: 0, rows: keys.length, next: null, columns: noState, columnCount: length, flags: 0 });
  return decoder.finish();
}

function lengthOf(bytes: Buffer | null): Buffer {
  const length = Buffer.allocUnsafe(4);
  length.writeInt32BE(bytes?.length ?? -1);
  return length;
}
