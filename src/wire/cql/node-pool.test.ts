import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { opcodes } from "./frames.ts";
import { NodePool } from "./node-pool.ts";
import { shardingOf, shardOf } from "./sharding.ts";

/** What a server sends back: frames of protocol v4. */
function answer(stream: number, opcode: number, body: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head[0] = 0x84;
  head.writeInt16BE(stream, 2);
  head[4] = opcode;
  head.writeInt32BE(body.length, 5);
  return Buffer.concat([head, body]);
}

function supportedBody(entries: Readonly<Record<string, string>>): Buffer {
  const short = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
  const string = (text: string): Buffer => Buffer.concat([short(Buffer.byteLength(text)), Buffer.from(text)]);
  const names = Object.entries(entries);
  const each = names.map(([name, value]) => Buffer.concat([string(name), short(1), string(value)]));
  return Buffer.concat([short(names.length), ...each]);
}

const opened: (Server | Socket)[] = [];

async function listen(handle: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    opened.push(socket);
    socket.on("error", () => {});
    handle(socket);
  });
  opened.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

afterEach(() => {
  for (const one of opened.splice(0)) {
    if ("destroy" in one) one.destroy();
    else one.close();
  }
});

/** Shakes hands as a ScyllaDB of four shards does, by protocol-extensions.md of its documentation. */
function scylla(shardPort: number, shardOfPort: (port: number) => number = () => 3): (socket: Socket) => void {
  const supported = {
    ...{ SCYLLA_NR_SHARDS: "4", SCYLLA_SHARDING_IGNORE_MSB: "12" },
    SCYLLA_PARTITIONER: "org.apache.cassandra.dht.Murmur3Partitioner",
    SCYLLA_SHARDING_ALGORITHM: "biased-token-round-robin",
    SCYLLA_SHARD_AWARE_PORT: String(shardPort),
  };
  return (socket) => {
    const own = { ...supported, SCYLLA_SHARD: String(shardOfPort(socket.remotePort!)) };
    let at = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      at = Buffer.concat([at, chunk]);
      while (at.length >= 9 && at.length >= 9 + at.readInt32BE(5)) {
        const [stream, opcode] = [at.readInt16BE(2), at[4]];
        at = at.subarray(9 + at.readInt32BE(5));
        if (opcode === opcodes.options) socket.write(answer(stream, opcodes.supported, supportedBody(own)));
        else socket.write(answer(stream, opcodes.ready, Buffer.alloc(0)));
      }
    });
  };
}

function poolTo(port: number): NodePool {
  const login = { username: null, password: null };
  const how = { host: "127.0.0.1", port, tls: null, ...login, connectTimeout: 200, requestTimeout: 1_000 };
  return new NodePool(how, 2, new AbortController().signal);
}

/** Tokens of each of the four shards, without ignored bits of note. */
const tokens = Array.from({ length: 64 }, (_, index) => BigInt.asIntN(64, BigInt(index) * 0x9e3779b97f4a7c15n));

test("a shard-aware port that does not answer is tried once", async () => {
  let knocks = 0;
  const silent = await listen(() => (knocks += 1));
  const pool = poolTo(await listen(scylla(silent)));
  for (const token of tokens) expect((await pool.connection(token)).isOpen).toBe(true);
  expect(knocks).toBe(1);
  await pool.close();
});

test("every token goes by a connection to its shard, the first connection's too", async () => {
  let knocks = 0;
  const shake = scylla(0, (port) => port % 4);
  const aware = await listen((socket) => {
    knocks += 1;
    shake(socket);
  });
  const pool = poolTo(await listen(scylla(aware)));
  await pool.connection(null);
  for (const token of tokens) {
    const { supported } = await pool.connection(token);
    expect(shardingOf(supported, false)!.shard).toBe(
      shardOf(token, { shard: 0, shards: 4, ignoreMsb: 12, port: null }),
    );
  }
  expect(knocks).toBe(3);
  await pool.close();
});
