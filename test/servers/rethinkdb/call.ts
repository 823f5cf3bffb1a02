import { type Datum, normalize } from "./datum.ts";
import { malformed, type Path } from "./failure.ts";
import type { Store, User } from "./storage.ts";
import { type FunctionValue, toDatum, type Value } from "./values.ts";

/** What a query runs in. */
export interface Context {
  readonly store: Store;
  readonly user: User;
  /** The moment of the query: `r.now()` is the same all over it. */
  readonly now: number;
  /** Global options of the query. */
  readonly options: Readonly<Record<string, Datum>>;
  /** Milliseconds that building an index takes. */
  readonly indexDelay: number;
  /** What terms do, by number. */
  readonly rules: ReadonlyMap<number, TermRule>;
}

/** A term that is being evaluated. */
export class Call {
  readonly context: Context;
  readonly path: Path;
  readonly #args: readonly unknown[];
  readonly #options: Readonly<Record<string, unknown>>;
  readonly #variables: ReadonlyMap<number, Datum>;

  constructor(
    context: Context,
    path: Path,
    args: readonly unknown[],
    options: Readonly<Record<string, unknown>>,
    variables: ReadonlyMap<number, Datum>,
  ) {
    this.context = context;
    this.path = path;
    this.#args = args;
    this.#options = options;
    this.#variables = variables;
  }

  get count(): number {
    return this.#args.length;
  }

  get options(): readonly string[] {
    return Object.keys(this.#options);
  }

  pathOf(part: number | string): Path {
    return [...this.path, part];
  }

  value(index: number): Value {
    return evaluate(this.#args[index], this.context, this.pathOf(index), this.#variables);
  }

  datum(index: number): Datum {
    return toDatum(this.value(index), this.pathOf(index));
  }

  /** Arguments from `start` on, with `args` terms spread out. */
  data(start: number): Datum[] {
    const all: Datum[] = [];
    for (let index = start; index < this.count; index++) {
      const spread = Array.isArray(this.#args[index]) && (this.#args[index] as unknown[])[0] === 154;
      const datum = this.datum(index);
      if (spread) all.push(...(datum as readonly Datum[]));
      else all.push(datum);
    }
    return all;
  }

  option(name: string): Datum | undefined {
    return this.optionValue(name) === undefined ? undefined : toDatum(this.optionValue(name)!, this.pathOf(name));
  }

  optionValue(name: string): Value | undefined {
    if (!(name in this.#options)) return undefined;
    return evaluate(this.#options[name], this.context, this.pathOf(name), this.#variables);
  }

  /** The argument as it was sent. */
  raw(index: number): unknown {
    return this.#args[index];
  }

  variable(id: number): Datum {
    return this.#variables.get(id)!;
  }

  /** A function, or a value that stands for the function that compares with it (`filter({…})`). */
  callable(index: number): FunctionValue | { readonly kind: "like"; readonly datum: Datum } {
    const value = this.value(index);
    return value.kind === "function" ? value : { kind: "like", datum: toDatum(value, this.pathOf(index)) };
  }

  /** `[2, [1, 2]]` and a body: `FUNC`. */
  function(): FunctionValue {
    const parameters = toDatum(this.value(0), this.pathOf(0)) as readonly number[];
    return {
      kind: "function",
      call: (args) => {
        const variables = new Map(this.#variables);
        parameters.forEach((id, index) => variables.set(id, args[index] ?? null));
        return evaluate(this.#args[1], this.context, this.pathOf(1), variables);
      },
    };
  }
}

export interface TermRule {
  /** The least and the most arguments. */
  readonly takes: readonly [number, number];
  run(call: Call): Value;
}

export function evaluate(
  term: unknown,
  context: Context,
  path: Path,
  variables: ReadonlyMap<number, Datum> = new Map(),
): Value {
  if (!Array.isArray(term)) {
    if (typeof term !== "object" || term === null) return { kind: "datum", datum: term as Datum };
    const fields = Object.entries(term).map(
      ([key, value]) => [key, toDatum(evaluate(value, context, [...path, key], variables), [...path, key])] as const,
    );
    return { kind: "datum", datum: normalize(Object.fromEntries(fields)) };
  }
  const [number, args = [], options = {}] = term as [number, unknown[]?, Record<string, unknown>?];
  const rule = context.rules.get(number);
  if (rule === undefined) throw malformed(`Unrecognized TermType: ${number}.`);
  const [least, most] = rule.takes;
  if (args.length < least || args.length > most) {
    const wanted =
      least === most
        ? `${least} argument${least === 1 ? "" : "s"}`
        : most === Infinity
          ? `${least} or more arguments`
          : `between ${least} and ${most} arguments`;
    throw malformed(`Expected ${wanted} but found ${args.length}.`);
  }
  return rule.run(new Call(context, path, args, options, variables));
}

/** What a condition is: everything but `false` and `null`. */
export function isTrue(datum: Datum): boolean {
  return datum !== false && datum !== null;
}
