import type { Selection } from "../protocol/source.ts";

/** Whether a text is a pattern rather than a name. In a pattern `*` stands for any characters. */
export function isPattern(text: string): boolean {
  return text.includes("*");
}

/** Whether a name matches a pattern. Case matters. */
export function matches(pattern: string, name: string): boolean {
  const source = pattern.split("*").map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&"));
  return new RegExp(`^${source.join(".*")}$`, "su").test(name);
}

/** Whether a selection includes a name. */
export function selects({ include, exclude, others }: Selection, name: string): boolean {
  if (others !== undefined) return include.includes(name) || (others && !exclude.includes(name));
  return (
    (include.length === 0 || include.some((pattern) => matches(pattern, name))) &&
    !exclude.some((pattern) => matches(pattern, name))
  );
}
