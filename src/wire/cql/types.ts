/** The native types without parts. `empty` occurs only in very old tables, and never holds a value. */
const scalars = [
  "ascii",
  "bigint",
  "blob",
  "boolean",
  "counter",
  "date",
  "decimal",
  "double",
  "duration",
  "float",
  "inet",
  "int",
  "smallint",
  "text",
  "time",
  "timestamp",
  "timeuuid",
  "tinyint",
  "uuid",
  "varint",
  "empty",
] as const;

export type Scalar = (typeof scalars)[number];

/** A type of CQL. Whether it is frozen is not kept. */
export type CqlType =
  | { readonly kind: Scalar }
  | { readonly kind: "list" | "set"; readonly of: CqlType }
  | { readonly kind: "map"; readonly key: CqlType; readonly value: CqlType }
  | { readonly kind: "tuple"; readonly of: readonly CqlType[] }
  | { readonly kind: "udt"; readonly name: string; readonly fields: readonly (readonly [string, CqlType])[] }
  | { readonly kind: "vector"; readonly of: CqlType; readonly size: number }
  /** A Java class of the server; we can't interpret its bytes. */
  | { readonly kind: "custom"; readonly name: string };

/** The fields of the user-defined types of a keyspace, as the server writes their types. */
export type UserTypes = ReadonlyMap<string, readonly (readonly [name: string, type: string])[]>;

export function isScalar(type: CqlType): boolean {
  return scalars.some((scalar) => scalar === type.kind);
}

const aliases: Readonly<Record<string, Scalar>> = { varchar: "text" };

/** Bytes of a type whose values stand in a vector without lengths, by Cassandra's `valueLengthIfFixed`. */
const fixedBytes: Partial<Record<CqlType["kind"], number>> = {
  boolean: 1,
  int: 4,
  float: 4,
  bigint: 8,
  double: 8,
  timestamp: 8,
  uuid: 16,
  timeuuid: 16,
};

/** Bytes of every value of the scalar types of fixed width. */
const sizes: Partial<Record<CqlType["kind"], number>> = {
  ...fixedBytes,
  counter: 8,
  date: 4,
  smallint: 2,
  time: 8,
  tinyint: 1,
};

/** Whether a value of a type may have this many bytes; 0 is what CQL calls empty. */
export function maySize({ kind }: CqlType, length: number): boolean {
  const size = sizes[kind];
  if (length === 0) return true;
  if (size !== undefined) return length === size;
  if (kind === "inet") return length === 4 || length === 16;
  return kind !== "decimal" || length >= 4;
}

/** Bytes of every value of a type; `null`: they vary, and each comes with its length. */
export function fixedLength(type: CqlType): number | null {
  if (type.kind !== "vector") return fixedBytes[type.kind] ?? null;
  const of = fixedLength(type.of);
  return of === null ? null : of * type.size;
}

/**
 * Whether a column of this type, as `system_schema` writes it, is stored cell by cell, so that its parts can change
 * separately.
 */
export function isMultiCell(text: string, userTypes: UserTypes): boolean {
  return /^(list|set|map)</.test(text) || userTypes.has(unquoted(text));
}

/**
 * Reads a type as `system_schema` writes it: `frozen<map<text, "My Type">>`, `vector<float, 3>`,
 * `'org.apache.cassandra.db.marshal.BytesType'`.
 */
export function parseCqlType(text: string, userTypes: UserTypes): CqlType {
  const parser = new TypeParser(text, userTypes);
  const type = parser.type();
  parser.end();
  return type;
}

/** As CQL writes it, without `frozen`: for messages and comparisons. */
export function cqlTypeName(type: CqlType): string {
  switch (type.kind) {
    case "list":
    case "set":
      return `${type.kind}<${cqlTypeName(type.of)}>`;
    case "map":
      return `map<${cqlTypeName(type.key)}, ${cqlTypeName(type.value)}>`;
    case "tuple":
      return `tuple<${type.of.map(cqlTypeName).join(", ")}>`;
    case "vector":
      return `vector<${cqlTypeName(type.of)}, ${type.size}>`;
    case "udt":
    case "custom":
      return type.name;
    default:
      return type.kind;
  }
}

class TypeParser {
  readonly #text: string;
  readonly #userTypes: UserTypes;
  #at = 0;

  constructor(text: string, userTypes: UserTypes) {
    this.#text = text;
    this.#userTypes = userTypes;
  }

  type(): CqlType {
    const custom = this.#take(/'([^']*)'/y);
    if (custom !== null) return { kind: "custom", name: custom[1]! };
    const quoted = this.#take(/"((?:[^"]|"")*)"/y);
    if (quoted !== null) return this.#userType(quoted[1]!.replaceAll('""', '"'));
    const name = this.#take(/\w+/y)?.[0];
    if (name === undefined) throw this.#error();
    switch (name) {
      case "frozen":
        return this.#between(() => this.type());
      case "list":
      case "set":
        return { kind: name, of: this.#between(() => this.type()) };
      case "map":
        return this.#between(() => ({ kind: name, key: this.type(), value: this.#next(() => this.type()) }));
      case "tuple":
        return this.#between(() => {
          const of = [this.type()];
          while (this.#take(/,\s*/y) !== null) of.push(this.type());
          return { kind: name, of };
        });
      case "vector":
        return this.#between(() => ({ kind: name, of: this.type(), size: this.#next(() => this.#number()) }));
    }
    const kind = aliases[name] ?? scalars.find((scalar) => scalar === name);
    return kind === undefined ? this.#userType(name) : { kind };
  }

  end(): void {
    if (this.#at < this.#text.length) throw this.#error();
  }

  #userType(name: string): CqlType {
    const fields = this.#userTypes.get(name);
    if (fields === undefined) throw this.#error();
    return {
      kind: "udt",
      name,
      fields: fields.map(([field, type]) => [field, parseCqlType(type, this.#userTypes)] as const),
    };
  }

  #number(): number {
    const digits = this.#take(/\d+/y);
    if (digits === null) throw this.#error();
    return Number(digits[0]);
  }

  #between<Result>(inner: () => Result): Result {
    if (this.#take(/</y) === null) throw this.#error();
    const result = inner();
    if (this.#take(/>/y) === null) throw this.#error();
    return result;
  }

  #next<Result>(inner: () => Result): Result {
    if (this.#take(/,\s*/y) === null) throw this.#error();
    return inner();
  }

  #take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match !== null) this.#at += match[0].length;
    return match;
  }

  #error(): Error {
    return new Error(`the type ${JSON.stringify(this.#text)} can't be understood at position ${this.#at}`);
  }
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}
