/** One part of the keys of an expanded table: fixed text, or the value of a column. */
export type PatternPart = { readonly literal: Buffer } | { readonly column: string; readonly colons: boolean };

const brace = /\{([^{}*]+)(\*?)\}/g;

/** The parts of `user:{id}`. A part in braces ends before the next text, and has no colon unless it is `{id*}`. */
export function parsePattern(pattern: string): readonly PatternPart[] {
  const parts: PatternPart[] = [];
  let at = 0;
  for (const match of pattern.matchAll(brace)) {
    if (match.index > at) parts.push({ literal: Buffer.from(pattern.slice(at, match.index)) });
    parts.push({ column: match[1]!, colons: match[2] === "*" });
    at = match.index + match[0].length;
  }
  if (at < pattern.length) parts.push({ literal: Buffer.from(pattern.slice(at)) });
  return parts;
}

/** What is wrong with a pattern, as the end of a sentence; `null`: nothing. */
export function keyPatternProblem(pattern: string): string | null {
  const parts = parsePattern(pattern);
  const columns = parts.flatMap((part) => ("column" in part ? [part.column] : []));
  if (columns.length === 0) return "must have a name in braces for the part that differs, as user:{id}";
  if (new Set(columns).size < columns.length) return "names a part twice";
  if (parts.some((part, index) => "column" in part && index > 0 && "column" in parts[index - 1]!))
    return "must have text between two parts in braces";
  return null;
}

/** The glob for SCAN's MATCH; it may match more keys than the pattern does. */
export function globOf(parts: readonly PatternPart[]): Buffer {
  return Buffer.concat(
    parts.map((part) => ("column" in part ? Buffer.from("*") : Buffer.from([...part.literal].flatMap(escaped)))),
  );
}

/** The positions of a key's columns, two for each column; `null`: the key is not of this form. */
export function matchKey(parts: readonly PatternPart[], bytes: Buffer, start: number, end: number): number[] | null {
  const found: number[] = [];
  let at = start;
  for (const [index, part] of parts.entries()) {
    if ("literal" in part) {
      if (
        end - at < part.literal.length ||
        bytes.compare(part.literal, 0, part.literal.length, at, at + part.literal.length) !== 0
      )
        return null;
      at += part.literal.length;
      continue;
    }
    const next = parts[index + 1];
    // The last text must end the key; text before it may occur again later.
    const last = index + 2 === parts.length;
    const until =
      next === undefined
        ? end
        : "literal" in next
          ? last
            ? end - next.literal.length
            : bytes.indexOf(next.literal, at + 1)
          : -1;
    if (until <= at || until > end) return null;
    if (!part.colons) {
      const colon = bytes.indexOf(0x3a, at);
      if (colon >= 0 && colon < until) return null;
    }
    found.push(at, until);
    at = until;
  }
  return at === end ? found : null;
}

/** The key that has these columns. */
export function keyOf(parts: readonly PatternPart[], columns: readonly Uint8Array[]): Buffer {
  let next = 0;
  return Buffer.concat(parts.map((part) => ("literal" in part ? part.literal : columns[next++]!)));
}

function escaped(byte: number): number[] {
  return "*?[]\\^".includes(String.fromCharCode(byte)) ? [0x5c, byte] : [byte];
}
