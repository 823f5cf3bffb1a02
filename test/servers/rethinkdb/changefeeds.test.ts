import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { datum, type Term, term } from "../../../src/wire/reql/terms.ts";
import type { Datum, DatumObject } from "./datum.ts";
import { handshake, RawClient } from "./raw-client.ts";
import type { Response } from "./recording.ts";
import { StandIn } from "./server.ts";

/** A line of `changefeeds.jsonl`, a recording of a real server 2.4.4, as its first line explains. */
interface Line {
  readonly kind: "meta" | "pair" | "event";
  readonly scenario: string;
  readonly query: readonly [number, Term?, Readonly<Record<string, Datum>>?];
  readonly response: Response;
  readonly rows_in_response?: number;
  /** What was seen; a list of what was tried, and when, by what came of it. */
  readonly what?: string | Readonly<Record<string, number>>;
}

const recorded = readFileSync(new URL("changefeeds.jsonl", import.meta.url), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as Line)
  .slice(1);
const scenarios = new Map(
  recorded.map(({ scenario }) => [scenario, recorded.filter((line) => line.scenario === scenario)]),
);

/** Feeds of other sequences than a table, which Headwaters does not open; and of tables that the recording shows in part. */
const left = /^(offsets on order_by limit|term: .*|initial .*|reconfigure while initialising|squash 1\.0)$/;
/** Done at the server where a feed breaks: what is replayed then. */
const breaking: Readonly<Record<string, (table: Term) => Promise<unknown>>> = {
  "feed during reconfigure 2 shards": (table) => run([176, [table], { shards: 2, replicas: 1 }]),
  "feed during rebalance": (table) => run([179, [table]]),
  "table dropped": () => run(term("TABLE_DROP", [feeds, "d"])),
  "job killed": async () => server.killFeeds(),
};

const feeds = term("DB", ["feeds"]);
let server: StandIn;
let admin: RawClient;

async function login(user: string): Promise<RawClient> {
  const client = await RawClient.connect(server.port);
  for await (const { message } of handshake(client, user, "")) expect(message).toMatchObject({ success: true });
  return client;
}

async function run(query: Term): Promise<Response> {
  const answer = await admin.run(query);
  expect(answer, JSON.stringify(query)).toMatchObject({ t: 1 });
  return answer;
}

beforeAll(async () => {
  server = await StandIn.start();
  admin = await login("admin");
  await run(term("DB_CREATE", ["feeds"]));
  await run(term("INSERT", [term("TABLE", [term("DB", ["rethinkdb"]), "users"]), { id: "feeder", password: "" }]));
});

afterAll(async () => {
  await admin[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** An item of a feed that tells of a document. */
type Item = { readonly new_val?: DatumObject | null; readonly old_val?: DatumObject | null; readonly type?: string };

function itemsIn(lines: readonly Line[]): readonly Item[] {
  return lines.flatMap((line) => (line.kind === "pair" ? (line.response.r as readonly Item[]) : []));
}

/** The documents that the table had when the feed was opened. */
function documentsBefore(lines: readonly Line[]): readonly DatumObject[] {
  const known = new Map<string, DatumObject | null>();
  for (const item of itemsIn(lines)) {
    const document = item.old_val ?? item.new_val;
    const id = JSON.stringify(document?.["id"]);
    if (document == null || known.has(id)) continue;
    known.set(id, item.old_val != null || item.type === "initial" ? document : null);
  }
  return [...known.values()].filter((document) => document !== null);
}

/** What made the server tell of this. */
async function write(table: Term, { new_val: after, old_val: before }: Item): Promise<void> {
  if (after == null) await run(term("DELETE", [term("GET", [table, datum(before!["id"]!)])]));
  else await run(term("INSERT", [table, datum(after)], { conflict: "replace" }));
}

/** Initial documents come in any order. */
function comparable({ r, ...rest }: Response): unknown {
  const isInitial = (item: Item): boolean => item.type === "initial";
  const byText = (a: Datum, b: Datum): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
  const items = r as readonly (Item & Datum)[];
  return { ...rest, r: [...items.filter((item) => !isInitial(item)), ...items.filter(isInitial).toSorted(byText)] };
}

test.each([...scenarios.keys()].filter((name) => !left.test(name) && !name.startsWith("server ")))(
  "%s",
  async (scenario) => {
    const lines = scenarios.get(scenario)!;
    const [, query] = lines[0]!.query as [number, [number, [Term]]];
    const table = query[1][0];
    const [, [, name]] = table as unknown as [number, [Term, string]];
    const { tables } = server.behaviour.store.databases.get("feeds")!;
    if (tables.has(name)) await run(term("TABLE_DROP", [feeds, name]));
    await run(term("TABLE_CREATE", [feeds, name]));
    const before = documentsBefore(lines);
    if (before.length > 0) await run(term("INSERT", [table, datum(before)]));
    const isRevoked = scenario === "revoked";
    if (isRevoked) await run(term("GRANT", [feeds, "feeder", { read: true }]));
    await using client = await login(isRevoked ? "feeder" : "admin");
    let waits = false;
    for (const line of lines) {
      if (line.kind === "event") {
        if (!String(line.what).startsWith("no answer")) continue;
        if (!waits) client.send(1, "[2]");
        waits = true;
        await new Promise((resolve) => setTimeout(resolve, 30));
        expect(client.held, String(line.what)).toBe(0);
        continue;
      }
      const { query: asked, response } = line;
      const items = response.r as readonly Item[];
      const documents = items.filter((item) => typeof item === "object" && "old_val" in item);
      const isOverflow = scenario.startsWith("overflow") && asked[0] === 2;
      let answer: Response;
      if (asked[0] === 1) answer = await client.ask(1, asked);
      else if (asked[0] === 3) {
        // Recorded with an answer due: there are two.
        if (!waits) client.send(1, "[2]");
        if (!waits) client.send(1, "[3]");
        waits = true;
        answer = JSON.parse((await client.answer()).text) as Response;
      } else {
        if (isOverflow && documents.length === 0)
          await run(term("INSERT", [table, datum(Array.from({ length: 200 }, (_, id) => ({ id })))]));
        const together = documents.length > 1 && !isOverflow;
        if (together) for (const item of documents) await write(table, item);
        if (!waits) client.send(1, "[2]");
        if (isRevoked && documents.length > 0) await run(term("GRANT", [feeds, "feeder", { read: null }]));
        if (documents.length === 1) await write(table, documents[0]!);
        if (response.t === 18) await breaking[scenario]?.(table);
        answer = JSON.parse((await client.answer()).text) as Response;
        waits = false;
      }
      // Which of 200 inserts are the last two, the real server's shards decide.
      if (isOverflow && documents.length > 0) {
        expect(answer).toMatchObject({ t: 3, n: response.n, r: [{ old_val: null }, { old_val: null }] });
      } else expect(comparable(answer), JSON.stringify(line)).toEqual(comparable(response));
    }
  },
);

test.each(["server stop", "server kill"])("%s", async (scenario) => {
  const [start] = scenarios.get(scenario)!;
  const [after] = scenarios.get(`${scenario}, started again`)!;
  const refusal = "changes: ReqlOpFailedError ";
  const said = Object.keys(after!.what!).find((key) => key.startsWith(`${refusal}cannot subscribe`))!;
  const { tables } = server.behaviour.store.databases.get("feeds")!;
  if (!tables.has("z")) await run(term("TABLE_CREATE", [feeds, "z"]));
  await using client = await login("admin");
  expect(await client.ask(1, start!.query)).toEqual(start!.response);
  client.send(1, "[2]");
  await server.restart();
  await expect(client.answer()).rejects.toThrow("the connection ended");
  await admin[Symbol.asyncDispose]();
  admin = await login("admin");
  const opens = async (): Promise<Response> => {
    await using other = await login("admin");
    return await other.ask(1, start!.query);
  };
  expect(await opens()).toEqual({ t: 18, e: 4_100_000, r: [said.slice(refusal.length)], b: [] });
  await expect.poll(opens, { timeout: 5_000 }).toEqual(start!.response);
});

test("what is not replayed is known", () => {
  expect([...scenarios.keys()].filter((name) => left.test(name))).toMatchInlineSnapshot(`
    [
      "offsets on order_by limit",
      "squash 1.0",
      "initial of 20000 with writes",
      "initial order",
      "term: between",
      "term: filter",
      "term: pluck",
      "term: map after",
      "term: point get",
      "term: order_by no limit",
      "term: read_mode majority",
      "term: read_mode outdated",
      "reconfigure while initialising",
    ]
  `);
});
