import { readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import process from "node:process";
import { isMap, isScalar, isSeq, type Document, type Pair, parseDocument, type Scalar, YAMLMap, YAMLSeq } from "yaml";
import { HeadwatersError } from "../../protocol/errors.ts";
import { marked, parseYaml, unmarked } from "./document.ts";

/** A table of the source, with a comment for the reader of the file. */
export interface FoundTable {
  readonly id: string;
  /** The comment after its name: `key id; ~500 rows; changes by updated_at`. */
  readonly told: string;
  /** Whether the current file selects the table. */
  readonly selected: boolean;
}

/**
 * Writes the tables of a connection to its file. `path` is the file's path, and `file` is its name in messages.
 * Resolves to whether the file changed.
 */
export async function writeTables(
  path: string,
  file: string,
  connection: string,
  found: readonly FoundTable[],
): Promise<boolean> {
  const real = await realpath(path);
  const text = await readFile(real, "utf8");
  const written = withTables(text, file, connection, found);
  if (written !== text) await replaceFile(real, written);
  return written !== text;
}

/** Replaces the file as a whole. Its permissions stay the same. */
async function replaceFile(path: string, text: string): Promise<void> {
  const { mode } = await stat(path);
  const fresh = `${path}.${process.pid}.tmp`;
  try {
    await writeFile(fresh, text, { flag: "wx", mode: mode & 0o777 });
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    const { code = String(error) } = error as NodeJS.ErrnoException;
    throw new HeadwatersError("CONFIGURATION_INVALID", `${path} can't be written (${code}).`, {
      hint: "Check the folder and its permissions.",
      cause: error,
    });
  }
}

/**
 * The text of a file of connections, with the tables of one connection under `tables.include`. The selection does not
 * change: tables are not added to an existing list, but the source's other tables are listed below it as comments. The
 * rest of the file, including comments, stays the same.
 */
export function withTables(text: string, file: string, connection: string, found: readonly FoundTable[]): string {
  const document = parseDocument(marked(text), { merge: true });
  const before = document.toString(style);
  const entry = document.getIn(["connections", connection], true);
  if (!isMap(entry)) throw byHand(file, connection, "is an alias");
  const include = includeOf(document, entry, file, connection);
  const listed = include.items.filter(isScalar).map(({ value }) => String(value));
  if (listed.length === 0) {
    for (const { id } of found.filter(({ selected }) => selected)) include.add(document.createNode(id));
  }
  for (const item of include.items) {
    const table = isScalar(item) ? found.find(({ id }) => id === item.value) : undefined;
    if (table !== undefined) (item as Scalar).comment ??= ` ${table.told}`;
  }
  const commented = include.comment ?? "";
  const others = found.filter(({ id, selected }) => !selected && !commented.includes(`- ${id} #`));
  const lines = others.map(({ id, told }) => ` - ${id} # ${told}`);
  if (lines.length > 0) include.comment = [...(commented === "" ? [] : [commented]), ...lines].join("\n");
  const written = unmarked(onlyChanged(marked(text), before, document.toString(style)));
  // Throws if the result can't be parsed: such a file must not be written.
  parseYaml(written, file);
  return written;
}

/** The list of included tables, in a form in which items can have comments. */
function includeOf(document: Document, entry: YAMLMap, file: string, connection: string): YAMLSeq {
  const tables = entry.get("tables", true);
  entry.flow = false;
  if (isSeq(tables)) return inBlock(tables);
  if (isMap(tables)) {
    inBlock(tables);
    const include = tables.get("include", true);
    if (isSeq(include)) return inBlock(include);
    if (include !== undefined && !isEmpty(include))
      throw byHand(file, connection, "has a tables.include that is not a list");
    const made = new YAMLSeq(document.schema);
    tables.delete("include");
    tables.items.unshift(document.createPair("include", made) as Pair);
    return made;
  }
  if (tables !== undefined && !isEmpty(tables))
    throw byHand(file, connection, "has tables that are neither a list nor a mapping");
  entry.delete("tables");
  const made = new YAMLSeq(document.schema);
  const map = new YAMLMap(document.schema);
  map.items.push(document.createPair("include", made) as Pair);
  const names = entry.items.map(({ key }) => (isScalar(key) ? key.value : key));
  // Inserted after source, destination and schema, before the other settings.
  const before = Math.max(names.indexOf("source"), names.indexOf("destination"), names.indexOf("schema"));
  entry.items.splice(before + 1, 0, document.createPair("tables", map) as Pair);
  return made;
}

/** Writes a collection with one item a line. A comment after its end moves before its start. */
function inBlock<Collection extends YAMLSeq | YAMLMap>(collection: Collection): Collection {
  if (collection.flow !== true) return collection;
  collection.flow = false;
  collection.commentBefore ??= collection.comment ?? null;
  collection.comment = null;
  return collection;
}

/** Lines are not wrapped. */
const style = { lineWidth: 0 } as const;

/**
 * Applies the change from `before` to `after`, which are both in the parser's style, to the author's text. Lines before
 * and after the change keep the author's style. If the parser's style has another number of lines, `after` is used.
 */
function onlyChanged(text: string, before: string, after: string): string {
  const [own, old, fresh] = [text, before, after].map((version) => version.split("\n")) as [
    string[],
    string[],
    string[],
  ];
  if (own.length !== old.length) return after;
  const most = Math.min(old.length, fresh.length);
  let first = 0;
  while (first < most && old[first] === fresh[first]) first++;
  let last = 0;
  while (last < most - first && old.at(-1 - last) === fresh.at(-1 - last)) last++;
  const end = own.length - last;
  return [...own.slice(0, first), ...fresh.slice(first, fresh.length - last), ...own.slice(end)].join("\n");
}

function isEmpty(node: unknown): boolean {
  return isScalar(node) && node.value === null;
}

function byHand(file: string, connection: string, why: string): HeadwatersError {
  return new HeadwatersError("CONFIGURATION_INVALID", `${file}: connections.${connection} ${why}.`, {
    hint: "Write its tables by hand; headwaters discover shows them.",
  });
}
