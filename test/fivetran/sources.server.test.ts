import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Thing } from "../../src/testing/source-checks.ts";
import { describeWith } from "../servers/require.ts";
import { PythonClient, type UpdateCall, type Updated } from "./client.ts";
import { type ServedThings, servedThings } from "./served-things.ts";
import { serve, type Serving } from "./serving.ts";

const count = 1_500;
const long = { timeout: 120_000 };

function thing(id: number, name: string | null = `thing ${id} ${"é".repeat(id % 40)}`, at = new Date()): Thing {
  return { id, name, updatedAt: at };
}

/** Written long ago, so that a window has only what is written later. */
const old = new Date(Date.UTC(2024, 4, 17));

function filling(): Thing[] {
  return Array.from({ length: count }, (_, id) => thing(id, id % 7 === 0 ? null : `thing ${id}`, old));
}

const client = await PythonClient.start().catch((error: Error) => error);

for (const [title, start] of servedThings) {
  await describeWith(
    async () => {
      if (client instanceof Error) throw client;
      return start();
    },
    `${title} under Fivetran`,
    (source) => suite(source, client as PythonClient),
  );
}

function suite({ definition, configuration, schema, things }: ServedThings, python: PythonClient): void {
  let serving: Serving;
  let copy: string;
  let expected: Map<string, string | null>;

  beforeAll(async () => {
    serving = await serve(definition);
  });

  afterAll(async () => {
    await serving[Symbol.asyncDispose]();
  });

  beforeEach(async () => {
    copy = python.newCopy();
    await things.create("things");
    expected = new Map();
    await put(filling());
  });

  async function put(changed: readonly Thing[]): Promise<void> {
    await things.put("things", changed);
    for (const { id, name } of changed) expected.set(String(id), name);
  }

  async function remove(ids: readonly number[]): Promise<void> {
    await things.remove("things", ids);
    for (const id of ids) expected.delete(String(id));
  }

  async function sync(state: string | null, more: Partial<UpdateCall> = {}): Promise<Updated> {
    const selection = { [schema]: { things: true } };
    return python.update(copy, { address: serving.address, configuration, state, selection, ...more });
  }

  async function expectEqual(): Promise<void> {
    const rows = await python.rows(copy, `${schema}.things`);
    const seen = rows.map(({ id, name }) => [String(id![1]), name === null ? null : String(name?.[1])] as const);
    expect(new Map([...seen].sort())).toEqual(new Map([...expected].sort()));
    expect(seen.length).toBe(expected.size);
  }

  test("describes its form, its tests and its tables", long, async () => {
    const { fields, tests } = (await python.call({ call: "form", address: serving.address })) as {
      fields: { name: string; kind: string }[];
      tests: [string, string][];
    };
    expect(fields.find(({ name }) => name === "password")?.kind).toBe("Password");
    expect(fields.map(({ name }) => name)).toEqual(expect.arrayContaining(Object.keys(definition.checks!).slice(0, 0)));
    for (const [name] of tests) {
      const call = { call: "test", name, configuration, address: serving.address };
      expect(await python.call(call), name).toEqual({ failure: null });
    }
    const tables = await python.call({ call: "schema", configuration, address: serving.address });
    expect(tables[schema]).toHaveProperty("things.id.1", true);
    expect(JSON.stringify(tables)).not.toContain("_headwaters");
  });

  test("a first sync, changes and deletes", long, async () => {
    const first = await sync(null);
    expect(first).toMatchObject({ code: "OK", task: null, counts: { upsert: count, truncate: 1 } });
    expect(first.largest).toBeLessThanOrEqual(100);
    await expectEqual();

    await put([thing(3, "changed"), thing(count + 1), thing(count + 2, null)]);
    const second = await sync(first.state);
    expect(second).toMatchObject({ code: "OK", task: null, counts: { truncate: 0 } });
    expect(second.counts.upsert).toBeLessThan(10);
    await expectEqual();

    await remove([5, 6, 7, 8]);
    await put([thing(9, "changed too")]);
    const third = await sync(second.state);
    expect(third).toMatchObject({ code: "OK", task: null, counts: { delete: 4, truncate: 0 } });
    await expectEqual();

    // A key that comes back comes back to life.
    await put([thing(5, "back")]);
    const fourth = await sync(third.state);
    expect(fourth.counts).toMatchObject({ upsert: 1, delete: 0, truncate: 0 });
    await expectEqual();

    const fifth = await sync(fourth.state);
    expect(fifth.counts).toEqual({ upsert: 0, update: 0, delete: 0, truncate: 0 });
    await expectEqual();
  });

  test.each(["all", "checkpointed"] as const)(
    "a client that goes away and keeps %s of what came",
    long,
    async (keep) => {
      let state: string | null = null;
      for (const messages of [1, 2, 4, 7, 11]) {
        ({ state } = await sync(state, { messages, keep }));
        await put([thing(messages, `after ${messages}`)]);
        await remove([100 + messages]);
      }
      const whole = await sync(state);
      expect(whole).toMatchObject({ code: "OK", task: null });
      // What changed between the parts is seen by the next sync at the latest.
      const { code } = await sync(whole.state, { configuration: { ...configuration, deletes: "each_sync" } });
      expect(code).toBe("OK");
      await expectEqual();
    },
  );
}
