import { demand } from "./access.ts";
import type { Call } from "./call.ts";
import { compare, type Datum, type DatumObject, print } from "./datum.ts";
import { codes, fail, Failure } from "./failure.ts";
import type { User } from "./storage.ts";
import { type FeedValue, rowsOf, type Value } from "./values.ts";

/** Changes that wait for a client before the server drops them, unless the query says otherwise. */
const queueSize = 100_000;

/** `r.table(…).changes({…})`; other sequences are not followed here. */
export function changes(call: Call): Value {
  const value = call.value(0);
  if (value.kind !== "table" || value.slice !== null || value.by !== null)
    throw fail("logic", "Cannot call `changes` on an eager stream.", [0]);
  if (call.option("include_offsets") === true) throw fail("logic", "Cannot include offsets for range subs.", []);
  try {
    demand(call.context.user, "read", value.database, value.table, []);
  } catch (thrown) {
    throw new Failure(18, codes.internal, `Unexpected exception: ${(thrown as Failure).message}`, []);
  }
  const asks = (name: string): boolean => call.option(name) === true;
  const options = {
    squash: (call.option("squash") ?? false) !== false,
    initial: asks("include_initial"),
    states: asks("include_states"),
    types: asks("include_types"),
  };
  return { kind: "feed", table: value, options, made: [] };
}

interface Change {
  readonly before: DatumObject | null;
  readonly after: DatumObject | null;
}

/** A feed that a client has open. */
export class Feed {
  readonly #value: FeedValue;
  readonly #user: User;
  readonly #most: number;
  #queue: Change[] = [];
  #skipped = 0;
  #states: string[];
  #failure: Failure | null = null;
  #stopped = false;
  #wake: () => void = () => {};

  constructor(value: FeedValue, user: User, options: Readonly<Record<string, Datum>>) {
    this.#value = value;
    this.#user = user;
    this.#most = (options["changefeed_queue_size"] as number | undefined) ?? queueSize;
    this.#states = value.options.initial ? ["initializing", "ready"] : ["ready"];
    value.table.table.feeds.add(this);
  }

  get notes(): string {
    return this.#value.options.states ? "[1,5]" : "[1]";
  }

  /** A document was written. */
  push(before: DatumObject | null, after: DatumObject | null): void {
    if (before !== null && after !== null && compare(before, after) === 0) return;
    if (this.#value.options.squash) this.#queue = this.#squashed({ before, after });
    else this.#queue.push({ before, after });
    if (this.#queue.length > this.#most) {
      this.#skipped += this.#queue.length;
      this.#queue = [];
    }
    this.#wake();
  }

  /** The feed breaks. */
  fail(failure: Failure): void {
    this.#failure ??= failure;
    this.#wake();
  }

  /** Its client stopped it, or is gone. */
  stop(): void {
    this.#stopped = true;
    this.#value.table.table.feeds.delete(this);
    this.#wake();
  }

  /** What the client gets at once. */
  first(): readonly Datum[] {
    const { options, table } = this.#value;
    const items = this.#state();
    if (!options.initial) return this.#made(items);
    const type = options.types ? { type: "initial" } : {};
    for (const { datum } of rowsOf(table, [])) items.push({ new_val: datum, ...type });
    return this.#made(items);
  }

  /** What a client gets that asks for more: `null` if it stopped meanwhile. There is no empty answer. */
  async next(): Promise<readonly Datum[] | null> {
    const { options, table: of } = this.#value;
    try {
      // Who asked before the right was taken gets one more answer.
      demand(this.#user, "read", of.database, of.table, []);
    } catch (thrown) {
      this.stop();
      throw thrown;
    }
    if (options.states && this.#states.length > 0) return this.#made(this.#state());
    for (;;) {
      if (this.#stopped) return null;
      if (this.#failure !== null) {
        this.stop();
        throw this.#failure;
      }
      if (this.#skipped > 0) {
        const error = `Changefeed cache over array size limit, skipped ${this.#skipped} elements.`;
        this.#skipped = 0;
        return this.#made([{ error }]);
      }
      if (this.#queue.length > 0) return this.#made(this.#queue.splice(0).map((change) => this.#item(change)));
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #squashed(change: Change): Change[] {
    const key = this.#value.table.table.primaryKey;
    const keyOf = ({ before, after }: Change): string => print((before ?? after)![key]!);
    const known = this.#queue.find((queued) => keyOf(queued) === keyOf(change));
    const others = this.#queue.filter((queued) => queued !== known);
    const merged = { before: known === undefined ? change.before : known.before, after: change.after };
    return merged.before === null && merged.after === null ? others : [...others, merged];
  }

  #state(): Datum[] {
    const { states, types } = this.#value.options;
    const [state] = this.#states.splice(0, 1);
    return states && state !== undefined ? [{ state, ...(types ? { type: "state" } : {}) }] : [];
  }

  #item({ before, after }: Change): Datum {
    const type = before === null ? "add" : after === null ? "remove" : "change";
    return { new_val: after, old_val: before, ...(this.#value.options.types ? { type } : {}) };
  }

  #made(items: readonly Datum[]): readonly Datum[] {
    return items.map((item) => this.#value.made.reduce((made, make) => make(made), item));
  }
}

/** What a feed says when its table is reconfigured, rebalanced or dropped. */
export function aborted(): Failure {
  return fail("failed", "Changefeed aborted (unavailable).", []);
}
