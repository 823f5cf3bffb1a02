/** The bytes that match at one place of a key, by byte value; `null`: any number of bytes. */
type Token = readonly boolean[] | null;

const [star, question, open, close, backslash, caret, dash] = [..."*?[]\\^-"].map((char) => char.charCodeAt(0));

/** Whether a key matches one of these patterns, by the rules of SCAN's MATCH (`stringmatchlen` of Redis and Valkey). */
export function globs(patterns: readonly string[]): (key: Uint8Array) => boolean {
  const all = patterns.map((pattern) => tokens(Buffer.from(pattern)));
  return (key) => all.some((one) => matches(one, key));
}

function tokens(pattern: Buffer): readonly Token[] {
  const found: Token[] = [];
  for (let at = 0; at < pattern.length; at++) {
    const byte = pattern[at]!;
    if (byte === star) found.push(null);
    else if (byte === question) found.push(bytes(() => true));
    else if (byte === open) {
      const { token, last } = classOf(pattern, at + 1);
      found.push(token);
      at = last;
    } else {
      // The last backslash of a pattern matches itself.
      const literal = byte === backslash && at + 1 < pattern.length ? pattern[++at]! : byte;
      found.push(bytes((value) => value === literal));
    }
  }
  return found;
}

/** A class such as `[a-z]`, from after its bracket. `last` is its end; a class that is not closed ends the pattern. */
function classOf(pattern: Buffer, from: number): { readonly token: Token; readonly last: number } {
  const negated = pattern[from] === caret;
  let at = negated ? from + 1 : from;
  const ranges: (readonly [number, number])[] = [];
  for (; at < pattern.length && pattern[at] !== close; at++) {
    if (pattern[at] === backslash && at + 1 < pattern.length) at += 1;
    else if (pattern[at + 1] === dash && at + 2 < pattern.length) {
      ranges.push([Math.min(pattern[at]!, pattern[at + 2]!), Math.max(pattern[at]!, pattern[at + 2]!)]);
      at += 2;
      continue;
    }
    ranges.push([pattern[at]!, pattern[at]!]);
  }
  const has = (value: number): boolean => ranges.some(([low, high]) => low <= value && value <= high);
  return { token: bytes((value) => has(value) !== negated), last: at };
}

function bytes(has: (value: number) => boolean): readonly boolean[] {
  return Array.from({ length: 256 }, (_, value) => has(value));
}

/** Backtracks only to the last `*`: bytes that earlier stars took never need to change. */
function matches(pattern: readonly Token[], key: Uint8Array): boolean {
  let [at, token, behindStar, starAt] = [0, 0, -1, 0];
  while (at < key.length) {
    if (pattern[token] === null) {
      behindStar = ++token;
      starAt = at;
    } else if (pattern[token]?.[key[at]!] === true) {
      token += 1;
      at += 1;
    } else if (behindStar >= 0) {
      token = behindStar;
      at = ++starAt;
    } else return false;
  }
  while (pattern[token] === null) token += 1;
  return token === pattern.length;
}
