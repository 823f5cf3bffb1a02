import { describe, expect, test } from "vitest";
import { freePort } from "../../src/servers/free-port.ts";
import { defineSource, type TypeName, type UpdateOperation, z } from "../../src/sdk/index.ts";
import { failure, Place } from "./place.ts";

/** What TypeScript would refuse, as JavaScript lets it through. */
interface Loose {
  upsert(table: unknown, row?: unknown): UpdateOperation;
  update(table: unknown, row?: unknown): UpdateOperation;
  remove(table: unknown, key?: unknown): UpdateOperation;
  removeAll(table: unknown, part?: unknown): UpdateOperation;
  truncate(table: unknown): UpdateOperation;
  checkpoint(state?: unknown): UpdateOperation;
}

const columns: Record<string, TypeName> = { id: "LONG", at: "UTC_DATETIME", celsius: "DOUBLE", note: "STRING" };

async function told(body: (given: Loose) => Generator<unknown> | AsyncGenerator<unknown>): Promise<string> {
  const source = defineSource({
    name: "weather",
    state: z.looseObject({ cursor: z.string().optional() }),
    schema: { readings: { key: ["id"], columns } },
    async *update(given) {
      yield* body(given as unknown as Loose) as AsyncGenerator<UpdateOperation>;
    },
  });
  await using place = await Place.make();
  let hint: string | null = null;
  const run = await place.sync(source, {}, (event) => {
    if (event.kind === "finished") hint = event.error?.hint ?? null;
  });
  return `${failure(run)}${hint === null ? "" : `\n${String(hint)}`}`;
}

describe("mistakes in update()", () => {
  const circle: { self?: unknown } = {};
  circle.self = circle;
  const cases: readonly [string, (given: Loose) => unknown, string][] = [
    [
      "a table that there is not",
      ({ upsert }) => upsert("reading", { id: 1 }),
      'SOURCE_MISTAKEN: upsert("reading", …): the schema of source "weather" has no such table\nDid you mean readings?',
    ],
    [
      "a column that there is not",
      ({ upsert }) => upsert("readings", { id: 1, celcius: 2 }),
      'SOURCE_MISTAKEN: upsert("readings", …): the table has no column "celcius"\nDid you mean celsius?',
    ],
    [
      "no key",
      ({ upsert }) => upsert("readings", { celsius: 2 }),
      'SOURCE_MISTAKEN: upsert("readings", …): the row lacks the key column "id": {"celsius":2}\nEach column of the key must have a value.',
    ],
    [
      "more than the key",
      ({ remove }) => remove("readings", { id: 1, note: "a" }),
      'SOURCE_MISTAKEN: remove("readings", …): column "note" is not in the key\nGive only the key: id.',
    ],
    [
      "no column of the key",
      ({ removeAll }) => removeAll("readings", {}),
      'SOURCE_MISTAKEN: removeAll("readings", …): no column of the key is given\nTo delete all rows, use truncate.',
    ],
    [
      "a part of a key without a value",
      ({ removeAll }) => removeAll("readings", { id: null }),
      'SOURCE_MISTAKEN: removeAll("readings", …): the key column "id" has no value: {"id":null}\nLeave out the columns that do not matter.',
    ],
    [
      "no row",
      ({ update }) => update("readings"),
      'SOURCE_MISTAKEN: update("readings", …): the row is undefined\nGive an object: column names and values.',
    ],
    [
      "a value of another type",
      ({ upsert }) => upsert("readings", { id: 7, celsius: "20.5" }),
      'VALUE_OUT_OF_RANGE: table "readings": column "celsius" of row {"id":7} is no DOUBLE: "20.5"\nGive a number.',
    ],
    [
      "a number that is not exact",
      ({ upsert }) => upsert("readings", { id: Number("9007199254740993") }),
      'VALUE_OUT_OF_RANGE: table "readings": column "id" of row {"id":9007199254740992} is beyond ±2⁵³, where numbers are no longer exact: 9007199254740992\nGive it as a bigint, made from its text.',
    ],
    [
      "a date that is none",
      ({ upsert }) => upsert("readings", { id: 7, at: new Date("soon") }),
      'VALUE_OUT_OF_RANGE: table "readings": column "at" of row {"id":7} is an invalid Date: an invalid Date\nCheck the value that it was made from.',
    ],
    [
      "a checkpoint without a state",
      ({ checkpoint }) => checkpoint(),
      "SOURCE_MISTAKEN: checkpoint() was called without a state\nGive what the next sync needs to go on.",
    ],
    [
      "a state that is no JSON",
      ({ checkpoint }) => checkpoint({ cursor: "a", pages: [{ last: new Date(0) }] }),
      "SOURCE_MISTAKEN: checkpoint(state): state.pages.0.last is Date: 1970-01-01T00:00:00.000Z\nA state is JSON: text, numbers, true, false, null.",
    ],
    [
      "a state with a bigint",
      ({ checkpoint }) => checkpoint({ last: 1n }),
      "SOURCE_MISTAKEN: checkpoint(state): state.last is 1n\nA state is JSON: text, numbers, true, false, null.",
    ],
    [
      "a state that refers to itself",
      ({ checkpoint }) => checkpoint(circle),
      "SOURCE_MISTAKEN: checkpoint(state): state.self refers to itself\nA state is JSON: text, numbers, true, false, null.",
    ],
    [
      "a state of another shape",
      ({ checkpoint }) => checkpoint({ cursor: 5 }),
      "SOURCE_MISTAKEN: checkpoint(state): state.cursor: Invalid input: expected string, received number\nThe state must match the source's `state` schema.",
    ],
    [
      "something that is no operation",
      () => ({ table: "readings" }),
      'SOURCE_MISTAKEN: source "weather": update() yielded {"table":"readings"}, or an operation twice\nYield the operations that the functions of update() return: yield upsert("table", row).',
    ],
  ];
  test.each(cases)("%s", async (_, make, message) => {
    const one = await told(function* (given) {
      yield make(given);
    });
    expect(one).toBe(message);
  });

  test("an operation that is made and not yielded", async () => {
    const message = await told(function* ({ upsert, checkpoint }) {
      upsert("readings", { id: 1 });
      yield checkpoint({});
    });
    expect(message).toBe(
      'SOURCE_MISTAKEN: upsert("readings", …) was called, but its operation was not yielded\nWrite: yield upsert("readings", …). Then run with --full.',
    );
  });

  test("the stack names the line that made it", async () => {
    let stack = "";
    await told(function* ({ upsert }) {
      try {
        upsert("nowhere", {});
      } catch (thrown) {
        stack = (thrown as Error).stack ?? "";
        throw thrown;
      }
      yield null;
    });
    expect(stack).toContain("mistakes.test.ts");
  });

  test("what its own code throws is told as its own, with its cause", async () => {
    const message = await told(function* () {
      yield [];
      throw new Error("no luck", { cause: new Error("rain") });
    });
    expect(message).toBe(
      'SOURCE_FAILED: source "weather": no luck: rain\nThe code of the source threw this error: --log-level debug shows where.',
    );
    const port = await freePort();
    const refused = await told(async function* () {
      yield [];
      await fetch(`http://127.0.0.1:${port}/`);
    });
    expect(refused).toMatch(/^CONNECTION_REFUSED: source "weather": fetch failed: connect ECONNREFUSED/);
  });
});

describe("mistakes in a definition", () => {
  const source = { name: "weather", async *update() {} };
  test.each<[string, () => unknown, string]>([
    ["its name", () => defineSource({ ...source, name: "My Source", schema: {} }), 'defineSource: name is "My Source"'],
    [
      "a state without defaults",
      () => defineSource({ ...source, state: z.object({ cursor: z.string() }), schema: {} }),
      'state: the first sync of source "weather" begins with {}, and state.cursor: Invalid input: expected string, received undefined',
    ],
    ["no schema", () => defineSource({ ...source } as never), 'source "weather" has no schema'],
    ["no update", () => defineSource({ name: "weather", schema: {} } as never), 'source "weather" has no update()'],
  ])("%s", (_, define, message) => {
    expect(define).toThrow(expect.objectContaining({ code: "SOURCE_MISTAKEN", message }));
  });

  test.each<[unknown, string]>([
    [{}, "schema: it has no tables"],
    [{ a: { key: [] } }, 'schema: table "a" has no key'],
    [
      { a: { key: ["idd"], columns: { id: "INT" } } },
      'schema: the key of table "a" names column "idd", which does not exist',
    ],
    [{ a: { key: ["id", "id"], columns: { id: "INT" } } }, 'schema: the key of table "a" names "id" twice'],
    [
      { a: { key: ["id"], columns: { id: "TIMESTAMP" } } },
      'schema: column "id" of table "a" has an unknown type: "TIMESTAMP"',
    ],
  ])("%j", async (schema, message) => {
    await using place = await Place.make();
    const sync = place.sync(defineSource({ ...source, schema: () => schema as never }));
    await expect(sync).rejects.toMatchObject({ code: "SOURCE_MISTAKEN", message });
  });
});
