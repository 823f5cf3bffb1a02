import { readFileSync } from "node:fs";

/** Valid streams of each protocol, which the fuzzer mutates. */

const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
};

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

const sized = (value: Buffer | null): Buffer =>
  value === null ? int32(-1) : Buffer.concat([int32(value.length), value]);

function message(kind: string, ...parts: readonly (string | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)));
  return Buffer.concat([Buffer.from(kind), int32(body.length + 4), body]);
}

const ready = message("Z", "I");
const field = (name: string): string => `${name}\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0`;
const described = (...names: string[]): Buffer => message("T", int16(names.length), names.map(field).join(""));
const row = (...cells: (string | null)[]): Buffer =>
  message("D", int16(cells.length), ...cells.map((cell) => sized(cell === null ? null : Buffer.from(cell))));

/** What a server says to a login, to the first query of a session, and to a simple one. */
export const postgresqlAnswers: readonly Buffer[] = [
  Buffer.concat([
    message("R", int32(0)),
    message("S", "server_version\x0015.18\0"),
    message("K", int32(1234), int32(5678)),
    ready,
  ]),
  Buffer.concat([
    ...[message("1"), message("2"), described("set_config", "backend_pid", "backend_start")],
    ...[row("UTC", "17", "1790000000000000"), message("C", "SELECT 1\0"), ready],
  ]),
  Buffer.concat([
    ...[described("a", "b"), row("1", null), message("N", "SNOTICE\0C00000\0Mhello\0\0"), row("two", "three")],
    ...[message("C", "SELECT 2\0"), ready],
  ]),
];

/** The columns of {@link copyRows}, by their codecs. */
export const copyCodecs = ["int4", "text", "numeric", "timestamp", "jsonb", "uuid", "boolean", "float8"] as const;

const values = [
  int32(7),
  Buffer.from("text"),
  Buffer.concat([int16(2), int16(0), int16(0), int16(2), int16(12), int16(3400)]),
  Buffer.alloc(8, 1),
  Buffer.from('\x01{"a":1}'),
  Buffer.alloc(16, 5),
  Buffer.from([1]),
  Buffer.alloc(8, 0x3f),
];

const copyHeader = Buffer.concat([Buffer.from("PGCOPY\n\xff\r\n\0", "latin1"), int32(0), int32(0)]);
const copyRow = Buffer.concat([int16(values.length), ...values.map(sized)]);
const nullRow = Buffer.concat([int16(values.length), ...values.map(() => sized(null))]);

/** The CopyData messages of a binary COPY. */
export const copyRows = Buffer.concat([
  message("d", copyHeader, copyRow),
  ...Array.from({ length: 5 }, (_, index) => message("d", index === 3 ? nullRow : copyRow)),
  message("d", int16(-1)),
]);

/** A whole answer to a COPY. */
export const copyAnswer = Buffer.concat([
  ...[message("H", "\x01\0\x01\0\x01"), copyRows, message("c"), message("C", "COPY 6\0"), ready],
]);

const string = (text: string): Buffer => Buffer.concat([int16(Buffer.byteLength(text)), Buffer.from(text)]);
const option = (id: number, ...rest: Buffer[]): Buffer => Buffer.concat([int16(id), ...rest]);

const cqlColumns: readonly (readonly [name: string, type: Buffer, value: Buffer | null])[] = [
  ["id", option(0x09), int32(5)],
  ["text", option(0x0d), Buffer.from("text")],
  ["amount", option(0x06), Buffer.concat([int32(2), Buffer.from([1, 0x86, 0xa0])])],
  ["many", option(0x0e), Buffer.alloc(9, 3)],
  ["at", option(0x0b), Buffer.from([0, 0, 1, 0x90, 0, 0, 0, 0])],
  ["uuid", option(0x0c), Buffer.alloc(16, 4)],
  ["span", option(0x15), Buffer.from([2, 4, 6])],
  ["from", option(0x10), Buffer.from([127, 0, 0, 1])],
  ["list", option(0x20, option(0x09)), Buffer.concat([int32(2), sized(int32(1)), sized(int32(2))])],
  [
    "map",
    option(0x21, option(0x0d), option(0x06)),
    Buffer.concat([int32(1), sized(Buffer.from("k")), sized(Buffer.from([0, 0, 0, 1, 5]))]),
  ],
  ["tuple", option(0x31, int16(2), option(0x09), option(0x0d)), Buffer.concat([sized(int32(1)), sized(null)])],
  ["udt", option(0x30, string("k"), string("t"), int16(1), string("f"), option(0x04)), sized(Buffer.from([1]))],
  [
    "vector",
    option(0x00, string("org.apache.cassandra.db.marshal.VectorType(org.apache.cassandra.db.marshal.FloatType , 2)")),
    Buffer.alloc(8, 1),
  ],
  ["none", option(0x02), null],
];

const metadata = Buffer.concat([
  ...[string("keyspace"), string("table")],
  ...cqlColumns.map(([name, type]) => Buffer.concat([string(name), type])),
]);

function frame(opcode: number, stream: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x84, 0]), int16(stream), Buffer.from([opcode]), int32(body.length), body]);
}

const cqlRow = Buffer.concat(cqlColumns.map(([, , value]) => sized(value)));

/** Frames: SUPPORTED, a page of rows with more to follow, an error. */
export const cqlFrames = Buffer.concat([
  frame(0x06, 0, Buffer.concat([int16(1), string("CQL_VERSION"), int16(1), string("3.4.7")])),
  frame(
    0x08,
    1,
    Buffer.concat([
      ...[int32(2), int32(0x01 | 0x02), int32(cqlColumns.length), sized(Buffer.from("state"))],
      ...[metadata, int32(3), cqlRow, cqlRow, cqlRow],
    ]),
  ),
  frame(0x00, 2, Buffer.concat([int32(0x2200), string("invalid")])),
]);

/** Replies to commands of all kinds. */
export const respReplies = Buffer.from(
  [
    ...[
      "+PONG\r\n",
      "-WRONGTYPE Operation against a key\r\n",
      ":1234\r\n",
      "$-1\r\n",
      "*-1\r\n",
      "$0\r\n\r\n",
      "*0\r\n",
    ],
    "*2\r\n$2\r\n17\r\n*3\r\n$3\r\nk:1\r\n$3\r\nk:2\r\n$3\r\nk:3\r\n",
    "*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$1\r\nw\r\n",
    `$100\r\n${"x".repeat(100)}\r\n`,
  ].join(""),
);

const wire = new URL("../servers/rethinkdb/wire.jsonl", import.meta.url);

/** Answers of a real RethinkDB, as they were recorded, and one with every kind of value. */
export const reqlAnswers: readonly Buffer[] = [
  ...new Set(
    readFileSync(wire, "utf8")
      .split("\n")
      .flatMap((line) => /"(\{\\"t\\":[23],\\"r\\":.*?\})"[,}]/.exec(line)?.[1] ?? [])
      .map((text) => JSON.parse(`"${text}"`) as string)
      .filter((text) => text.length < 4_000),
  ),
  '{"t":2,"r":[{"a":1,"b":-2.5,"c":"t\\u00e9xt","d":[1,{"e":null}],"f":true,"g":{"$reql_type$":"TIME","epoch_time":1.5,"timezone":"+00:00"},"h":{"$reql_type$":"BINARY","data":"AAEC"},"i":false,"j":1e300}],"n":[]}',
].map((text) => {
  const head = Buffer.alloc(12);
  head.writeBigInt64LE(1n, 0);
  head.writeUInt32LE(Buffer.byteLength(text), 8);
  return Buffer.concat([head, Buffer.from(text)]);
});

const copied = (body: Buffer): Buffer => {
  const head = Buffer.alloc(5);
  head.write("d", "latin1");
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};
const changed = (payload: string): Buffer =>
  copied(Buffer.concat([Buffer.from("w"), Buffer.alloc(24), Buffer.from(payload, "latin1")]));

/** What a server sends of a slot: a table, an insert, an update that changes the key, a delete, a TRUNCATE, a keepalive. */
export const walMessages = Buffer.concat([
  changed("B\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\x07"),
  changed("R\0\0\0\x01public\0t\0d\0\x02\x01id\0\0\0\0\x17\xff\xff\xff\xff\0name\0\0\0\0\x19\xff\xff\xff\xff"),
  changed("I\0\0\0\x01N\0\x02t\0\0\0\x011n"),
  changed("U\0\0\0\x01K\0\x02t\0\0\0\x011nN\0\x02t\0\0\0\x0212u"),
  changed("D\0\0\0\x01K\0\x02t\0\0\0\x0212n"),
  changed("T\0\0\0\x01\0\0\0\0\x01"),
  changed("C\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x20\0\0\0\0\0\0\0\0"),
  copied(Buffer.from(`k${"\0".repeat(16)}\x01`, "latin1")),
]);

/** What a server says to a login, to the first query of a session, to a setting's, and then of a slot. */
export const replicationAnswers: readonly Buffer[] = [
  ...postgresqlAnswers.slice(0, 2),
  Buffer.concat([described("setting"), row("0"), message("C", "SELECT 1\0"), ready]),
  Buffer.concat([message("W", "\0\0\0"), walMessages, message("c"), message("C", "START_STREAMING\0"), ready]),
];

/** The messages of a RethinkDB at a login. */
export const reqlLogin = Buffer.from(
  [
    '{"max_protocol_version":0,"min_protocol_version":0,"server_version":"2.4.4","success":true}',
    '{"authentication":"r=abc,s=c2FsdA==,i=1","success":true}',
    '{"error":"Wrong password","error_code":12,"success":false}',
    "",
  ].join("\0"),
);
