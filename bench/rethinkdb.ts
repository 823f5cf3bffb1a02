import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { r } from "rethinkdb-ts";
import { shakeHands } from "../src/wire/reql/handshake.ts";
import { datum, term } from "../src/wire/reql/terms.ts";
import { ReqlConnection } from "../src/wire/reql/connection.ts";
import { measure } from "./measure.ts";
import { Copy } from "../test/sources/rethinkdb/reading.ts";
import { cacheFolder } from "./cache.ts";
import { machine, mebibytes, median, printTable } from "./report.ts";
import { activity } from "./rethinkdb-table.ts";

const help = `tsx bench/rethinkdb.ts [options], once it is built (npm run build)

Reads one table of RethinkDB, in turns: a bare socket that parses nothing, rethinkdb-ts into an array, and Headwaters
into DuckDB, in this process and as a process of its own. On the server of HEADWATERS_TEST_RETHINKDB (rethinkdb://user:password@host:port), else
on a stand-in in a process of its own, whose answers are encoded beforehand: no server of RethinkDB is that fast.

  --rows N   documents of about 290 bytes (200000)
  --rate N   megabytes that the stand-in sends in a second (0: as many as it can); a RethinkDB of the 2.4 line on a
             machine like this sends about 30
  --runs N   runs of each (5)
  --help     this`;

const { values: options } = parseArgs({
  options: {
    rows: { type: "string", default: "200000" },
    runs: { type: "string", default: "5" },
    rate: { type: "string", default: "0" },
    help: { type: "boolean", default: false },
  },
});

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const name = "activity_log";
const signal = new AbortController().signal;

interface Place {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

if (options.help) console.log(help);
else await bench();

async function bench(): Promise<void> {
  const rows = Number(options.rows);
  console.log(`${machine()}\n${rows.toLocaleString("en-US")} documents\n`);
  await mkdir(cacheFolder, { recursive: true });
  const work = await mkdtemp(join(cacheFolder, "work-"));
  await using server = await place(rows);
  console.log(`${server.title}\n`);
  const times: Record<string, number[]> = {};
  let peak: number | null = null;
  const contestants: Record<string, () => Promise<number>> = {
    "bare socket, nothing parsed": () => bare(server),
    "rethinkdb-ts, into an array": () => driver(server, rows),
    "Headwaters' client, nothing parsed": () => client(server),
    "Headwaters, into DuckDB": () => inProcess(server),
  };
  try {
    // Not counted: the stand-in encodes its answers when it is first asked for them.
    for (const run of Object.values(contestants)) await run();
    for (let round = 0; round < Number(options.runs); round++) {
      for (const [title, run] of Object.entries(contestants)) (times[title] ??= []).push(await run());
      const { milliseconds, peakBytes } = await headwaters(server, work, round);
      (times["Headwaters, into DuckDB, whole process"] ??= []).push(milliseconds);
      peak = Math.max(peak ?? 0, peakBytes ?? 0);
    }
    const base = median(times["bare socket, nothing parsed"]!);
    printTable(
      ["", "median", "rows/s", "× bare", "peak memory"],
      Object.entries(times).map(([title, all]) => [
        title,
        `${median(all).toFixed(0)} ms`,
        Math.round((rows / median(all)) * 1_000).toLocaleString("en-US"),
        (base / median(all)).toFixed(2),
        title.endsWith("whole process") ? mebibytes(peak) : "",
      ]),
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function place(rows: number): Promise<Place & AsyncDisposable & { readonly title: string }> {
  const address = process.env["HEADWATERS_TEST_RETHINKDB"] ?? "";
  if (address === "") return standIn(rows);
  const { hostname: host, port, username, password } = new URL(address);
  const [user, secret] = [decodeURIComponent(username) || "admin", decodeURIComponent(password)];
  const at = { host, port: Number(port || 28015), user, password: secret, database: "headwaters_bench" };
  const connection = await ReqlConnection.connect(
    { ...at, tls: null, connectTimeout: 10_000, silence: 60_000 },
    signal,
  );
  const run = (query: Parameters<typeof connection.value>[0]) => connection.value(query, {}, signal);
  const db = term("DB", [at.database]);
  await run(term("DB_CREATE", [at.database]));
  await run(term("TABLE_CREATE", [db, name]));
  for (let first = 0; first < rows; first += 2_000) {
    const some = Array.from({ length: Math.min(2_000, rows - first) }, (_, index) => activity(first + index));
    await run(term("INSERT", [term("TABLE", [db, name]), datum(some)], { durability: "soft" }));
  }
  return {
    ...at,
    title: `RethinkDB ${connection.serverVersion}`,
    async [Symbol.asyncDispose]() {
      await run(term("DB_DROP", [at.database]));
      connection.destroy();
    },
  };
}

async function standIn(rows: number): Promise<Place & AsyncDisposable & { readonly title: string }> {
  const child = fork(fileURLToPath(new URL("rethinkdb-server.ts", import.meta.url)), [
    String(rows),
    String(Number(options.rate) * 1e6),
  ]);
  const [port] = (await once(child, "message")) as [number];
  return {
    ...{ host: "127.0.0.1", port, user: "admin", password: "", database: "bench" },
    title: "The stand-in over the wire",
    async [Symbol.asyncDispose]() {
      child.disconnect();
      await once(child, "exit");
    },
  };
}

/** The least that a client can do: asks for the next answer when one has come, and counts bytes. */
async function bare(at: Place): Promise<number> {
  const began = performance.now();
  const socket = connect(at.port, at.host).setNoDelay(true);
  await once(socket, "connect");
  await shakeHands(socket, at.user, at.password);
  const send = (text: string): void => {
    const frame = Buffer.alloc(12 + Buffer.byteLength(text));
    frame.writeUInt32LE(frame.length - 12, 8);
    frame.write(text, 12);
    socket.write(frame);
  };
  send(JSON.stringify([1, term("TABLE", [term("DB", [at.database]), name]), {}]));
  let left = 0;
  let header = Buffer.alloc(0);
  let last = false;
  await new Promise<void>((resolve) => {
    socket.on("data", (chunk: Buffer) => {
      let position = 0;
      while (position < chunk.length) {
        if (left === 0) {
          const taken = chunk.subarray(position, position + 24 - header.length);
          header = Buffer.concat([header, taken]);
          position += taken.length;
          if (header.length < 24) return;
          left = header.readUInt32LE(8) - 12;
          last = header.toString("latin1", 12, 18) === '{"t":2';
          if (!last) send("[2]");
          header = Buffer.alloc(0);
          continue;
        }
        const taken = Math.min(left, chunk.length - position);
        position += taken;
        left -= taken;
        if (left === 0 && last) resolve();
      }
    });
  });
  socket.destroy();
  return performance.now() - began;
}

async function driver({ host, port, user, password, database }: Place, rows: number): Promise<number> {
  const began = performance.now();
  const connection = await r.connect({ host, port, user, password });
  const cursor = await r.db(database).table(name).getCursor(connection);
  const all = await cursor.toArray();
  await connection.close();
  if (all.length !== rows) throw new Error(`rethinkdb-ts read ${all.length} of ${rows} rows`);
  return performance.now() - began;
}

/** Our own client alone, with frames put together and handed out. */
async function client(at: Place): Promise<number> {
  const began = performance.now();
  await using connection = await ReqlConnection.connect(
    { ...at, tls: null, connectTimeout: 10_000, silence: 60_000 },
    signal,
  );
  const query = term("TABLE", [term("DB", [at.database]), name]);
  let bytes = 0;
  for await (const answer of connection.answers(query, {}, signal)) bytes += answer.text.length;
  if (bytes === 0) throw new Error("nothing came");
  return performance.now() - began;
}

async function inProcess({ host, port, database, user, password }: Place): Promise<number> {
  await using copy = await Copy.make();
  const began = performance.now();
  const runs = await copy.sync({ host, port, database, user, password });
  if (runs[name]?.outcome !== "whole") throw new Error(runs[name]?.error?.message);
  return performance.now() - began;
}

async function headwaters(at: Place, work: string, round: number) {
  const folder = await mkdtemp(join(work, "load-"));
  const { host, port, database, user: username, password } = at;
  await writeFile(join(folder, "c.json"), JSON.stringify({ host, port, database, username, password }));
  const where = ["--source", "rethinkdb", "--configuration", "c.json", "--destination", `duckdb:out${round}.duckdb`];
  return measure({ command: process.execPath, arguments: [main, "sync", ...where, "--quiet"] }, folder);
}
