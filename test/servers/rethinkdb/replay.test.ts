import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { datum, term } from "../../../src/wire/reql/terms.ts";
import { compare, type Datum, print } from "./datum.ts";
import { handshake, RawClient } from "./raw-client.ts";
import { type Line, recordedTables, recording, type Response } from "./recording.ts";
import { unknownTerms } from "./rules.ts";
import { StandIn } from "./server.ts";

const passwords: Readonly<Record<string, string>> = {
  admin: "",
  reader: "test-only-pässword",
  liter: "z",
  nobody: "x",
};
const weird = "we,ird=x";

/** Answers that are held to the recording by other tests, or not at all, and why. */
const reasons = {
  "changefeeds.test.ts replays a recording of feeds": ({ scenario }: Line) =>
    scenario.startsWith("feed") || scenario.startsWith("permission-revoked") || scenario === "jobs-kill",
  "a term that Headwaters does not use": ({ query }: Line) => query?.[0] === 1 && unknownTerms(query[1]).length > 0,
  "its rows depend on how the real server's batches fall": ({ scenario, query, token }: Line) =>
    ["cursor", "cursor-error-mid-scan", "cursor-default-batches", "cursor-concurrent-writes"].includes(scenario) &&
    (query?.[2]?.["max_batch_rows"] !== undefined ||
      query?.[0] === 2 ||
      query?.[0] === 3 ||
      [110, 111, 143].includes(token!)),
  "the order of its queries is not in the recording": ({ query }: Line) => query?.[1] === "...pipelined...",
  "about the machine, or a table that is empty here": ({ seq }: Line) => [84, 85, 86, 87, 88].includes(seq),
  "of 200,000 rows that are not in the recording": ({ seq }: Line) => seq >= 355 && seq <= 363,
  "of a document that is not in the recording": ({ seq }: Line) => seq === 253,
  "a dropped table or a restart: other tests": ({ scenario }: Line) =>
    scenario === "cursor-table-dropped" || scenario.startsWith("server-"),
  "a part of a feed": ({ seq }: Line) => seq === 146,
  "any row is right": ({ seq }: Line) => [99, 145].includes(seq),
  "which row fails first depends on the order": ({ seq }: Line) => [138, 147].includes(seq),
} satisfies Record<string, (line: Line) => boolean>;

function reason(line: Line): string | null {
  for (const [name, holds] of Object.entries(reasons)) if (holds(line)) return name;
  return null;
}

const pairs = recording.filter((line) => line.kind === "pair");
/** Who asked, by connection: the first handshake on it says so. */
const users = new Map(recording.flatMap((line) => (line.user === undefined ? [] : [[line.conn, line.user] as const])));

let server: StandIn;
const clients = new Map<string, RawClient>();

beforeAll(async () => {
  server = await StandIn.start();
  const admin = await login("admin");
  const run = async (query: Parameters<RawClient["run"]>[0]): Promise<void> => {
    const answer = await admin.run(query);
    expect(answer.t, print(answer.r as Datum)).toBe(1);
  };
  const usersTable = term("TABLE", [term("DB", ["rethinkdb"]), "users"]);
  for (const [id, password] of Object.entries({ ...passwords, [weird]: "y" })) {
    const secret = id === "liter" ? { password, iterations: 1 } : password;
    if (id !== "admin") await run(term("INSERT", [usersTable, { id, password: secret }]));
  }
  for (const name of ["app", "other"]) await run(term("DB_CREATE", [name]));
  const app = term("DB", ["app"]);
  for (const [name, rows] of Object.entries(recordedTables())) {
    const options = name === "PROJECTS" ? { primary_key: "project_id" } : {};
    await run(term("TABLE_CREATE", [app, name], options));
    if (rows.length > 0) await run(term("INSERT", [term("TABLE", [app, name]), datum(rows)]));
  }
  await run(term("TABLE_CREATE", [term("DB", ["other"]), "secret"]));
  await run(term("GRANT", [app, "reader", { read: true, write: false, config: false }]));
  await run(term("GRANT", [term("TABLE", [app, "PROJECTS"]), "reader", { read: false }]));
  await createIndexes(run);
});

afterAll(async () => {
  for (const client of clients.values()) await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function createIndexes(run: (query: Parameters<RawClient["run"]>[0]) => Promise<void>): Promise<void> {
  const of = (name: string) => term("TABLE", [term("DB", ["app"]), name]);
  const row = term("VAR", [1]);
  const fn = (body: Parameters<RawClient["run"]>[0]) => term("FUNC", [term("MAKE_ARRAY", [1]), body]);
  const field = (name: string) => term("BRACKET", [row, name]);
  for (const name of ["email", "updated_at"]) await run(term("INDEX_CREATE", [of("USERS"), name]));
  await run(term("INDEX_CREATE", [of("USERS"), "location"], { geo: true }));
  await run(term("INDEX_CREATE", [of("USERS"), "age_name", fn(term("MAKE_ARRAY", [field("age"), field("name")]))]));
  await run(
    term("INDEX_CREATE", [of("USERS"), "tags", fn(term("BRACKET", [field("address"), "tags"]))], { multi: true }),
  );
  await run(term("INDEX_CREATE", [of("mixed"), "v"]));
  await run(term("INDEX_CREATE", [of("tasks"), "updated_at"]));
  for (const name of ["created_at", "seq", "user_id"]) await run(term("INDEX_CREATE", [of("activity_log"), name]));
}

async function login(user: string): Promise<RawClient> {
  const known = clients.get(user);
  if (known !== undefined) return known;
  const client = await RawClient.connect(server.port);
  clients.set(user, client);
  for await (const { message } of handshake(client, user, passwords[user]!))
    expect(message).toMatchObject({ success: true });
  return client;
}

describe("the recording of a real server", () => {
  const scenarios = [
    ...new Set(
      recording.flatMap((line) => (line.kind === "handshake" && line.user !== undefined ? [line.scenario] : [])),
    ),
  ];
  const spoken = scenarios.filter((scenario) => scenario.startsWith("handshake-"));
  test.each(spoken)("%s", async (scenario) => {
    const lines = recording.filter((line) => line.scenario === scenario);
    const user = lines[0]!.user!;
    const password = scenario.includes("wrong-password") ? "not the password" : (passwords[user] ?? "y");
    const recorded = lines.filter((line) => line.dir === "recv").map((line) => line.message!);
    await using client = await RawClient.connect(server.port);
    const seen: Record<string, unknown>[] = [];
    for await (const { message } of handshake(client, user, password)) seen.push(message);
    // A feed's connection is recorded twice under one name.
    expect(seen.map(shape)).toEqual(recorded.slice(0, 3).map(shape));
    const refused = seen.at(-1)!["success"] === false;
    if (refused) expect(await client.message()).toBeNull();
  });

  test.each(
    [
      ...new Set(
        recording.flatMap((line) => (line.kind === "handshake" && line.user === undefined ? [line.scenario] : [])),
      ),
    ].filter(
      // Before 2.3: Headwaters does not speak it.
      (scenario) => scenario !== "handshake-legacy-V0_4-empty-key",
    ),
  )("%s", async (scenario) => {
    await using client = await RawClient.connect(server.port);
    for (const line of recording.filter((candidate) => candidate.scenario === scenario)) {
      const raw = line.raw!;
      if (line.dir === "send") client.write(raw.startsWith("hex:") ? Buffer.from(raw.slice(4), "hex") : `${raw}\0`);
      else if (raw.startsWith("{"))
        expect(shape(JSON.parse((await client.message())!))).toEqual(shape(JSON.parse(raw)));
      else expect(await client.message()).toBe(raw);
    }
  });

  test.each(pairs.filter((line) => reason(line) === null).map((line) => [line.seq, line.scenario, line] as const))(
    "%i %s",
    async (_seq, _scenario, line) => {
      const client = await login(users.get(line.conn) ?? "admin");
      const answer = await client.ask(line.token!, line.query_raw ?? line.query!);
      expect(comparable(answer, line)).toEqual(comparable(line.response!, line));
    },
  );

  test("a cursor gives its rows in batches, and is gone at its end, when it is stopped and after an error", async () => {
    const client = await login("admin");
    const all = term("TABLE", [term("DB", ["app"]), "cursor200"]);
    const gone = { t: 16, r: ["Token 7 not in stream cache."], b: [] };
    const first = await client.ask(7, [1, all, { max_batch_rows: 4 }]);
    const second = await client.ask(7, [2]);
    expect([first.t, first.r.length, second.t, second.r.length]).toEqual([3, 8, 3, 32]);
    expect(await client.ask(7, [1, all, {}])).toEqual({ t: 16, r: ["ERROR: duplicate token 7"], b: [] });
    let rows = 40;
    let answer = second;
    while (answer.t === 3) rows += (answer = await client.ask(7, [2])).r.length;
    expect([answer.t, rows]).toEqual([2, 200]);
    expect(await client.ask(7, [2])).toEqual(gone);
    await client.ask(7, [1, all, { max_batch_rows: 4 }]);
    expect(await client.ask(7, [3])).toEqual({ t: 2, r: [], n: [] });
    expect(await client.ask(7, [3])).toEqual(gone);
    const failing = recording.find((line) => line.scenario === "cursor-error-mid-scan")!.query!;
    for (answer = await client.ask(7, failing); answer.t === 3;) answer = await client.ask(7, [2]);
    expect(answer).toEqual({ t: 18, e: 5_000_000, r: ["row failed"], b: [1, 1, 2] });
    expect(await client.ask(7, [2])).toEqual(gone);
  });

  test("numbers are written as they were, but for digits that are not the shortest", async () => {
    const { query_raw: query, response_raw: response, token } = recording.find((line) => line.kind === "pair-raw")!;
    const client = await login("admin");
    client.send(token!, query!);
    expect((await client.answer()).text).toBe(response!.replace("0.30000000000000007", "0.30000000000000004"));
  });

  test("what is not replayed is known", () => {
    const counts: Record<string, number> = {};
    for (const line of pairs) {
      const name = reason(line) ?? "replayed";
      counts[name] = (counts[name] ?? 0) + 1;
    }
    expect(counts).toMatchInlineSnapshot(`
      {
        "a dropped table or a restart: other tests": 14,
        "a part of a feed": 1,
        "a term that Headwaters does not use": 2,
        "about the machine, or a table that is empty here": 5,
        "any row is right": 2,
        "changefeeds.test.ts replays a recording of feeds": 88,
        "its rows depend on how the real server's batches fall": 41,
        "of 200,000 rows that are not in the recording": 8,
        "of a document that is not in the recording": 1,
        "replayed": 133,
        "the order of its queries is not in the recording": 1,
        "which row fails first depends on the order": 2,
      }
    `);
  });
});

/** The keys of a message, its error, and the form of its login. */
function shape(message: Record<string, unknown>): unknown {
  const iterations = /,i=(\d+)$/.exec(String(message["authentication"]))?.[1];
  return { keys: Object.keys(message).sort(), error: message["error"], code: message["error_code"], iterations };
}

/** Made by the server at random, by the clock or from its place. */
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function comparable(response: Response, line: Line): unknown {
  const rows = response.r.map(settled);
  const ordered = /\[41,.*"index":/.test(JSON.stringify(line.query ?? ""));
  const first = rows[0];
  const sorted =
    response.t === 1 && Array.isArray(first) && !ordered && line.seq === 144 ? [first.toSorted(compare)] : rows;
  const isNow = JSON.stringify(line.query?.[1] ?? "").includes("[103");
  return {
    t: response.t,
    e: response.e,
    n: response.n,
    r: isNow ? sorted.map((row) => typeof row) : response.t === 2 && !ordered ? sorted.toSorted(compare) : sorted,
    // The real server tells of an array that is too large one term further out.
    b: line.seq === 238 ? null : response.b,
  };
}

function settled(value: Datum): Datum {
  if (typeof value === "string") {
    if (uuid.test(value)) return "uuid";
    return value.replace(/localverify|standin/g, "server");
  }
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(settled);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== "doc_count_estimates" && key !== "function" && key !== "query")
      .map(([key, item]) => [key, settled(item)]),
  );
}
