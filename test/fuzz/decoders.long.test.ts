import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { PassThrough } from "node:stream";
import type pg from "pg";
import { describe, expect, test } from "vitest";
import { connect } from "../../src/net/socket.ts";
import { Watch } from "../../src/net/watch.ts";
import { HeadwatersError } from "../../src/protocol/errors.ts";
import type { Column } from "../../src/protocol/table.ts";
import { sourceError } from "../../src/sources/redis/errors.ts";
import { explain } from "../../src/sources/rethinkdb/errors.ts";
import { Hints } from "../../src/sources/postgresql/stream/hints.ts";
import { visibleIn } from "../../src/sources/postgresql/stream/visible.ts";
import { RowsBuilder } from "../../src/toolkit/vectors.ts";
import { controlRows } from "../../src/wire/cql/control-rows.ts";
import { exactType } from "../../src/wire/cql/decode.ts";
import { PageDecoder } from "../../src/wire/cql/decode-page.ts";
import { cqlError } from "../../src/wire/cql/errors.ts";
import { FrameReader } from "../../src/wire/cql/frames.ts";
import { pageColumns, readBody, readPage } from "../../src/wire/cql/messages.ts";
import { connectPostgres, type PostgresSettings } from "../../src/wire/postgres/connection.ts";
import { BinaryRows } from "../../src/wire/postgres/copy-binary.ts";
import { copyOut } from "../../src/wire/postgres/copy-out.ts";
import { postgresError } from "../../src/wire/postgres/errors.ts";
import { decodeWal, Replication } from "../../src/wire/postgres/replication.ts";
import { FrameReader as ReqlFrames } from "../../src/wire/reql/frames.ts";
import { shakeHands } from "../../src/wire/reql/handshake.ts";
import { Scanner } from "../../src/wire/reql/scanner.ts";
import { Replies } from "../../src/wire/resp/replies.ts";
import { chunks, mutated, Random } from "./mutations.ts";
import {
  copyAnswer,
  copyCodecs,
  copyRows,
  cqlFrames,
  postgresqlAnswers,
  replicationAnswers,
  reqlAnswers,
  reqlLogin,
  respReplies,
  walMessages,
} from "./streams.ts";

/** Each decoder is fed for so long. */
const seconds = Number(process.env["HEADWATERS_FUZZ_SECONDS"] ?? 10);
const firstSeed = Number(process.env["HEADWATERS_FUZZ_SEED"] ?? 1);
/** No stream here is longer than some kilobytes, so nothing should take long, or memory. */
const mostMilliseconds = 3_000;
const mostGrowth = 500 << 20;

const never = new AbortController().signal;
const place = { host: "127.0.0.1", port: 1 };
const postgres = (thrown: unknown): unknown =>
  postgresError(thrown, { ...place, database: "d", user: "u", sslmode: "disable" });

const settingsAt = (port: number): PostgresSettings => ({
  ...{ host: "127.0.0.1", port, database: "d", user: "u", password: "p", ssl: { sslmode: "disable" } },
  ...{ connectTimeout: 4_000, statementTimeout: null, silence: 4_000, readOnly: true },
});

/** A server whose answers are those given, one to each message. In place of one of them `stream` comes, and the end. */
async function serving(
  answers: readonly Buffer[],
  stream: Buffer,
  random: Random,
  work: (port: number) => Promise<void>,
  broken = random.int(answers.length),
): Promise<void> {
  let step = 0;
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", () => {
      const answer = answers[step];
      if (step++ !== broken && answer !== undefined) return void socket.write(answer);
      for (const chunk of chunks(stream, random)) socket.write(chunk);
      socket.end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await work((server.address() as AddressInfo).port);
  } finally {
    server.close();
  }
}

async function queryOnce(port: number): Promise<void> {
  const connection = await connectPostgres(settingsAt(port), never);
  try {
    await connection.simple("SELECT 1", never);
  } finally {
    connection.destroy();
  }
}

async function readSlot(port: number): Promise<void> {
  await using session = await Replication.start(settingsAt(port), { slot: "s", publication: "p" }, never);
  const hints = new Hints("public", new Map([["t", ["id"]]]), 1 << 20);
  for await (const message of session.messages()) {
    if (message.kind === "data") hints.take(message.payload);
    else hints.reach(message.end);
  }
}

async function logIn(port: number): Promise<void> {
  await connect({ host: "127.0.0.1", port, tls: null, timeout: 4_000 }, never, async (socket) => {
    await shakeHands(socket, "u", "p");
    socket.destroy();
  });
}

interface Target {
  readonly streams: readonly Buffer[];
  decode(stream: Buffer, random: Random): void | Promise<void>;
  explain(thrown: unknown): unknown;
}

const copyColumns: readonly Column[] = copyCodecs.map((name) => ({
  name,
  nullable: true,
  type:
    name === "numeric"
      ? { kind: "DECIMAL", precision: 20, scale: 4 }
      : {
          kind:
            ({ int4: "INT", timestamp: "NAIVE_DATETIME", uuid: "UUID", boolean: "BOOLEAN", float8: "DOUBLE" } as const)[
              name as "int4"
            ] ?? "STRING",
        },
}));

function decodeCopy(...parts: readonly Buffer[]): void {
  const builder = new RowsBuilder(copyColumns);
  const columns = copyCodecs.map((codec, index) => ({ name: codec, codec, builder: builder.builders[index]! }));
  const rows = new BinaryRows("t", columns);
  for (const bytes of parts) for (let at = 0; at < bytes.length;) at = rows.decode(bytes, at, 1 << 20);
  rows.end();
  builder.finish();
}

const targets: Readonly<Record<string, Target>> = {
  "PostgreSQL's messages": {
    streams: postgresqlAnswers,
    explain: postgres,
    decode: (stream, random) => serving(postgresqlAnswers, stream, random, queryOnce),
  },
  "PostgreSQL's replication session": {
    streams: replicationAnswers,
    explain: postgres,
    decode: (stream, random) => serving(replicationAnswers, stream, random, readSlot),
  },
  "PostgreSQL's COPY": {
    streams: [copyAnswer],
    explain: postgres,
    async decode(stream, random) {
      const socket = new PassThrough();
      socket.on("error", () => {});
      socket.on("data", () => {});
      const query = (copy: { submit(on: unknown): void }): void => copy.submit({ stream: socket, query: () => {} });
      const watch = new Watch({ silence: 60_000, probe: async () => null, end: () => {} });
      const reading = copyOut({ query } as unknown as pg.Client, "COPY", watch);
      const parts: Buffer[] = [];
      const first = reading.next();
      for (const chunk of chunks(stream, random)) if (!socket.destroyed) socket.write(chunk);
      socket.end();
      try {
        for (let next = await first; next.done !== true; next = await reading.next()) parts.push(next.value);
      } finally {
        // Its timer would hold the stream for a minute.
        watch.close();
      }
      decodeCopy(...parts);
    },
  },
  "binary COPY": { streams: [copyRows], explain: postgres, decode: (stream) => decodeCopy(framed(stream)) },
  "PostgreSQL's stream of changes": {
    streams: [walMessages],
    explain: postgres,
    decode(stream) {
      const hints = new Hints("public", new Map([["t", ["id"]]]), 1 << 20);
      for (const message of decodeWal(framed(stream))) {
        if (message.kind === "data") hints.take(message.payload);
        else hints.reach(message.end);
      }
      hints.see(visibleIn("10:10:"));
    },
  },
  "CQL's frames and values": {
    streams: [cqlFrames],
    explain: (thrown) =>
      cqlError(thrown, {
        ...{ ...place, names: { host: "hostname", dataCenter: "data_center" } },
        ...{ username: null, keyspace: "k", tls: false, consistency: "ONE" },
      }),
    decode(stream, random) {
      const reader = new FrameReader();
      for (const chunk of chunks(stream, random)) {
        for (const frame of reader.push(chunk)) {
          if (frame.opcode === 0x06) readBody(frame, (body) => body.stringMultimap());
          if (frame.opcode !== 0x08) continue;
          readBody(frame, (body) => {
            const page = readPage(body);
            const columns = pageColumns(page);
            const known = columns.map(({ name, type }) => ({ name, type: exactType(type), nullable: true }));
            const decoder = new PageDecoder(known, new Map([["id", "partition_key"]]), columns);
            for (const rows of decoder.decode(page, 1_000)) expect(rows.length).toBeGreaterThan(0);
            controlRows(page);
          });
        }
      }
    },
  },
  RESP: {
    streams: [respReplies],
    explain: (thrown) => sourceError(thrown, { ...place, username: null, database: 0, tls: false }),
    decode(stream, random) {
      const replies = new Replies();
      for (const chunk of chunks(stream, random)) {
        replies.append(chunk);
        while (replies.unread > 0 && replies.complete()) {
          if (random.int(2) === 0) replies.take();
          else {
            try {
              replies.array("a reply");
              replies.cursor("a cursor");
              for (let left = replies.array("a list"); left > 0; left--) replies.string("a key");
            } finally {
              replies.done();
            }
          }
        }
      }
    },
  },
  "RethinkDB's login": {
    streams: [reqlLogin],
    explain: (thrown) => explain(thrown, { ...place, database: "d", username: "u" }),
    decode: (stream, random) => serving([reqlLogin], stream, random, logIn),
  },
  "ReQL's JSON": {
    streams: reqlAnswers,
    explain: (thrown) => explain(thrown, { ...place, database: "d", username: "u" }),
    decode(stream, random) {
      const frames = new ReqlFrames((_token, text) => {
        const scanner = new Scanner();
        scanner.load(text);
        for (let documents = 0; scanner.next(); documents++) expect(documents).toBeLessThanOrEqual(text.length);
      });
      for (const chunk of chunks(stream, random)) frames.push(chunk);
    },
  },
};

/** Only whole messages reach the decoder of rows: the lengths are made right again, the rest stays as it is. */
function framed(stream: Buffer): Buffer {
  const bytes = Buffer.from(stream);
  for (let at = 0; at < bytes.length;) {
    if (at + 5 > bytes.length) return bytes.subarray(0, at);
    const length = bytes.readUInt32BE(at + 1);
    const end = length >= 4 && at + 1 + length <= bytes.length ? at + 1 + length : bytes.length;
    bytes.writeUInt32BE(end - at - 1, at + 1);
    at = end;
  }
  return bytes;
}

test.each([
  "PostgreSQL's COPY",
  "PostgreSQL's stream of changes",
  "binary COPY",
  "CQL's frames and values",
  "ReQL's JSON",
])("%s is read as it is", async (name) => {
  const { streams, decode } = targets[name]!;
  for (const stream of streams) await decode(stream, new Random(firstSeed));
});

test.each([
  ["PostgreSQL's messages", postgresqlAnswers, queryOnce],
  ["PostgreSQL's replication session", replicationAnswers, readSlot],
])("%s are read as they are", async (_name, answers, work) => {
  await serving(answers, Buffer.alloc(0), new Random(firstSeed), work, answers.length);
});

describe("decoders, fed with mutated streams (case 21)", () => {
  test.each(Object.entries(targets))("%s", { timeout: (seconds + 60) * 1_000 }, async (name, target) => {
    const { streams, decode, explain } = target;
    const end = performance.now() + seconds * 1_000;
    const before = process.memoryUsage().rss;
    let runs = 0;
    for (let seed = firstSeed; performance.now() < end; seed++) {
      const random = new Random(seed);
      const stream = mutated(random.of(streams), random);
      const began = process.cpuUsage();
      let thrown: unknown = null;
      try {
        await decode(stream, random);
      } catch (error) {
        thrown = error;
      }
      if (thrown !== null) {
        const error = explain(thrown);
        const told = error instanceof HeadwatersError ? error.code : `${String(error)} ${(error as Error).stack ?? ""}`;
        expect([seed, told]).toEqual([seed, expect.stringMatching(/^(?!DEFECT)[A-Z_]+$/)]);
      }
      // Of the processor, since the machine may be busy otherwise.
      const { user, system } = process.cpuUsage(began);
      expect([seed, Math.floor((user + system) / 1_000 / mostMilliseconds)]).toEqual([seed, 0]);
      runs += 1;
    }
    if (seconds > 10) process.stdout.write(`${name}: ${runs} streams, nothing found\n`);
    expect(runs).toBeGreaterThan(10);
    expect(process.memoryUsage().rss - before).toBeLessThan(mostGrowth);
  });
});
