import { HeadwatersError } from "../../protocol/errors.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { Rows, Vector } from "../../protocol/rows.ts";
import type { Table } from "../../protocol/table.ts";

/**
 * The placeholders that DuckLake 1.0 replaces in the statements for its catalog (`DuckLakeMetadataManager::Execute`).
 * It also replaces them within names, and within texts that are the minimum or maximum of a file. Such a text would be
 * taken for another one or, worse, for SQL.
 */
const placeholders = [
  "AUTHOR",
  "COMMIT_EXTRA_INFO",
  "COMMIT_MESSAGE",
  "DATA_PATH",
  "METADATA_CATALOG",
  "METADATA_CATALOG_NAME_IDENTIFIER",
  "METADATA_CATALOG_NAME_LITERAL",
  "METADATA_PATH",
  "METADATA_SCHEMA_ESCAPED",
  "METADATA_SCHEMA_NAME_LITERAL",
  "NEXT_CATALOG_ID",
  "NEXT_FILE_ID",
  "SCHEMA_VERSION",
  "SNAPSHOT_ID",
].map((name) => `{${name}}`);

const longest = Math.max(...placeholders.map((placeholder) => placeholder.length));

const [brace, firstLetter, lastLetter] = ["{", "A", "Z"].map((letter) => letter.charCodeAt(0)) as [
  number,
  number,
  number,
];

/** The placeholder that a text contains; `null`: none. */
export function placeholderIn(text: string): string | null {
  return placeholders.find((placeholder) => text.includes(placeholder)) ?? null;
}

/** Throws `CONFIGURATION_INVALID` if a name in the configuration contains a placeholder. */
export function refuseNames({ connection, schema, systemColumnPrefix, rename }: DestinationContext): void {
  const given: readonly (readonly [setting: string, name: string])[] = [
    ["connections", connection],
    ["schema", schema],
    ["systemColumnPrefix", systemColumnPrefix],
    ...Object.entries(rename).map(([id, name]) => [`overrides.${id}.rename`, name] as const),
  ];
  for (const [setting, name] of given) {
    const found = placeholderIn(name);
    if (found === null) continue;
    throw new HeadwatersError(
      "CONFIGURATION_INVALID",
      `${setting}: "${name}" has ${found} in it, which DuckLake would read as its own placeholder`,
      { hint: "Choose another name." },
    );
  }
}

/** Throws `VALUE_OUT_OF_RANGE` if a name or a text of the table contains a placeholder. */
export function refusePlaceholders(table: Table, rows: Rows | null): void {
  for (const name of [table.id, ...table.columns.map((column) => column.name)]) {
    const found = placeholderIn(name);
    if (found !== null) throw refusal(`table "${table.id}": the name "${name}" has ${found} in it`, table);
  }
  rows?.values.forEach((vector, index) => {
    const found = placeholderOf(vector);
    if (found !== null)
      throw refusal(`table "${table.id}", column "${rows.columns[index]}": a text has ${found} in it`, table);
  });
}

function refusal(what: string, { id }: Table): HeadwatersError {
  return new HeadwatersError("VALUE_OUT_OF_RANGE", `${what}, which DuckLake would read as its own placeholder`, {
    hint: `Copy table "${id}" to another destination, or leave it out.`,
  });
}

/** Scans for braces first, which is fast: a brace before a capital letter is rare, in JSON too. */
function placeholderOf({ values, offsets, type }: Vector): string | null {
  if (offsets === null || type.kind === "BINARY") return null;
  const bytes = Buffer.from(values.buffer, values.byteOffset, offsets.at(-1));
  for (let at = bytes.indexOf(brace); at >= 0; at = bytes.indexOf(brace, at + 1)) {
    const next = bytes[at + 1] ?? 0;
    if (next < firstLetter || next > lastLetter) continue;
    const found = placeholderIn(bytes.toString("latin1", at, at + longest));
    if (found !== null) return found;
  }
  return null;
}
