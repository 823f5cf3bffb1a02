import { type JsonNode, parseJson, printJson } from "../values/canonical-json.ts";
import type { Expanded } from "./expanded.ts";
import type { Members } from "../values/members.ts";

/**
 * The members of a JSON document as fields and values: the members that the table's columns name by path, or all
 * top-level members if the table takes every field that is found. JSON's null is not a value.
 */
export function documentMembers(found: Members, expanded: Expanded, into: Members): void {
  const root = parseJson(found.bytes.toString("utf8", found.starts[0], found.ends[0]));
  into.gather(2);
  const put = (field: string, node: JsonNode | null, asJson: boolean): void => {
    if (node === null || (node.kind === "scalar" && node.text === "null")) return;
    const isString = node.kind === "scalar" && node.text.startsWith('"');
    const text = isString && !asJson ? (JSON.parse(node.text) as string) : printJson(node);
    for (const piece of [Buffer.from(field), Buffer.from(text)]) into.copy(piece, 0, piece.length);
  };
  if (!expanded.open) {
    for (const [from, kind] of expanded.declared)
      put(from, at(root, from.replace(/^\$\.?/, "").split(".")), kind === "JSON");
  } else if (root.kind === "object") {
    for (const [name, node] of root.members) put(JSON.parse(name) as string, node, true);
  } else put("value", root, true);
}

/** The value at a path of member names and array indexes. */
function at(root: JsonNode, path: readonly string[]): JsonNode | null {
  let node: JsonNode | null = root;
  for (const step of path) {
    if (node?.kind === "object") {
      node = node.members.findLast(([name]) => JSON.parse(name) === step)?.[1] ?? null;
    } else if (node?.kind === "array") {
      node = node.items[Number(step)] ?? null;
    } else return null;
  }
  return node;
}
