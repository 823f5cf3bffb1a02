/** A JSON value that keeps numbers and strings as they are written, so that no digit is lost. */
export type JsonNode =
  | { readonly kind: "scalar"; readonly text: string }
  | { readonly kind: "array"; readonly items: readonly JsonNode[] }
  | { readonly kind: "object"; readonly members: readonly (readonly [string, JsonNode])[] };

/** A JSON document in canonical form: members of objects are ordered by name, and there are no spaces. */
export function canonicalJson(text: string): string {
  return printJson(parseJson(text));
}

/** Throws `SyntaxError` if the text is not JSON. Names of members are as written, with their quotes. */
export function parseJson(text: string): JsonNode {
  return new Parser(text).document();
}

export function printJson(node: JsonNode): string {
  switch (node.kind) {
    case "scalar":
      return node.text;
    case "array":
      return `[${node.items.map(printJson).join(",")}]`;
    case "object": {
      const members = node.members.toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      return `{${members.map(([name, value]) => `${name}:${printJson(value)}`).join(",")}}`;
    }
  }
}

/** A number or a word; the expression is sticky. */
const scalar = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const [quote, backslash] = [0x22, 0x5c];
const space = /[ \t\r\n]*/y;

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonNode {
    const value = this.#value();
    this.#skip();
    if (this.#at < this.#text.length) throw this.#unexpected();
    return value;
  }

  #value(): JsonNode {
    this.#skip();
    const next = this.#text[this.#at];
    if (next === "[") return { kind: "array", items: this.#items("]", () => this.#value()) };
    if (next !== "{") return { kind: "scalar", text: this.#scalar() };
    const members = this.#items("}", (): [string, JsonNode] => {
      this.#skip();
      const name = this.#scalar();
      this.#skip();
      if (this.#text[this.#at++] !== ":") throw this.#unexpected();
      return [name, this.#value()];
    });
    return { kind: "object", members };
  }

  #items<Item>(close: string, item: () => Item): Item[] {
    const items: Item[] = [];
    this.#at += 1;
    this.#skip();
    if (this.#text[this.#at] === close) {
      this.#at += 1;
      return items;
    }
    for (;;) {
      items.push(item());
      this.#skip();
      const next = this.#text[this.#at++];
      if (next === close) return items;
      if (next !== ",") throw this.#unexpected();
    }
  }

  #scalar(): string {
    if (this.#text.charCodeAt(this.#at) === quote) return this.#string();
    scalar.lastIndex = this.#at;
    const match = scalar.exec(this.#text);
    if (match === null) throw this.#unexpected();
    this.#at = scalar.lastIndex;
    return match[0];
  }

  /** A loop, because a regular expression with a repeated group overflows its stack at some million escapes. */
  #string(): string {
    const text = this.#text;
    for (let at = this.#at + 1; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === backslash) at += 1;
      if (code !== quote) continue;
      const found = text.slice(this.#at, at + 1);
      this.#at = at + 1;
      return found;
    }
    throw this.#unexpected();
  }

  #skip(): void {
    space.lastIndex = this.#at;
    space.test(this.#text);
    this.#at = space.lastIndex;
  }

  #unexpected(): SyntaxError {
    return new SyntaxError(`no JSON at position ${this.#at}`);
  }
}
