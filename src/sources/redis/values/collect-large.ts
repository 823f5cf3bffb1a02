import { Commands } from "../../../wire/resp/commands.ts";
import type { RespConnection } from "../../../wire/resp/connection.ts";
import { RespError } from "../../../wire/resp/errors.ts";
import { replyKind } from "../../../wire/resp/replies.ts";
import { strideOf } from "./collect.ts";
import { isWrongType } from "../errors.ts";
import type { Members } from "./members.ts";
import { CursorLoop } from "../scan/scan.ts";
import { takeError } from "../scan/take.ts";
import { type NativeType, nativeType } from "../types.ts";

/** The result of reading a value in parts. */
export type Large =
  | { readonly kind: "whole"; readonly type: NativeType }
  | { readonly kind: "gone" }
  | { readonly kind: "too large" };

/** Members per part: a reply of some ten thousand bytes, which takes the server well under a millisecond. */
const partMembers = 2_000;
const partBytes = 1 << 20;
/** Attempts in parts on a value that is written to meanwhile; after these, one command reads it. */
const attemptsInParts = 3;
const attempts = 6;

/** The value is larger than the settings allow. */
class TooLarge extends Error {}

/**
 * Reads a value in parts, into `members`, and watches it meanwhile (WATCH). If the value is written to, the parts may
 * not fit together, and it is read again. If writes go on or WATCH is not allowed, one command reads the value.
 */
export async function collectLarge(
  connection: RespConnection,
  key: Buffer,
  members: Members,
  mostBytes: number,
): Promise<Large> {
  let watch = true;
  for (let attempt = 1; ; attempt++) {
    const inParts = watch && attempt <= attemptsInParts;
    try {
      if (inParts) await connection.call("WATCH", key);
      const type = nativeType(String(await connection.call("TYPE", key)));
      if (type === null) {
        await unwatch(connection, inParts);
        return { kind: "gone" };
      }
      members.gather(strideOf(type));
      if (inParts) await readParts(connection, key, type, members, mostBytes);
      else await readAtOnce(connection, key, type, members, mostBytes);
      // Only a string can exist and be empty; its empty answer still counts as one piece.
      if (!inParts || (await isUnchanged(connection)))
        return members.pieces === 0 ? { kind: "gone" } : { kind: "whole", type };
    } catch (thrown) {
      if (thrown instanceof TooLarge) {
        await unwatch(connection, inParts);
        return { kind: "too large" };
      }
      if (!(thrown instanceof RespError)) throw thrown;
      // The error of a denied EXEC is `EXECABORT … NOPERM …`.
      if (/\bNOPERM\b/.test(thrown.message) && inParts && /'(?:watch|multi|exec)'/i.test(thrown.message)) watch = false;
      // The value changed its type in between.
      else if (!isWrongType(thrown) || attempt >= attempts) throw thrown;
      await unwatch(connection, inParts && watch);
    }
  }
}

async function unwatch(connection: RespConnection, watched: boolean): Promise<void> {
  if (watched) await connection.call("UNWATCH");
}

/** Ends the watch: the server refuses an empty transaction if the key was written to. */
async function isUnchanged(connection: RespConnection): Promise<boolean> {
  await connection.call("MULTI");
  return (await connection.call("EXEC")) !== null;
}

async function readParts(
  connection: RespConnection,
  key: Buffer,
  type: NativeType,
  members: Members,
  mostBytes: number,
): Promise<void> {
  const check = (): void => {
    if (members.copied > mostBytes) throw new TooLarge();
  };
  switch (type.dataType) {
    case "string":
      return readString(connection, key, members, mostBytes);
    case "hash":
    case "set": {
      const loop = new CursorLoop();
      const [command, size] = type.dataType === "hash" ? (["HSCAN", "HLEN"] as const) : (["SSCAN", "SCARD"] as const);
      const length = Number(await connection.call(size, key));
      let cursor = "0";
      do {
        cursor = await takePart(connection, members, true, command, key, cursor, "COUNT", String(partMembers));
        check();
        if (members.pieces > 0) members.expect(length * members.stride);
        if (cursor !== "0") loop.see(cursor);
      } while (cursor !== "0");
      return;
    }
    case "list":
    case "zset": {
      const [command, size, ...rest] =
        type.dataType === "list" ? (["LRANGE", "LLEN"] as const) : (["ZRANGE", "ZCARD", "WITHSCORES"] as const);
      const length = Number(await connection.call(size, key));
      for (let from = 0; ; from += partMembers) {
        const before = members.length;
        await takePart(connection, members, false, command, key, String(from), String(from + partMembers - 1), ...rest);
        check();
        if (members.length - before < partMembers) return;
        members.expect(length * members.stride);
      }
    }
    default:
      return readAtOnce(connection, key, type, members, mostBytes);
  }
}

async function readString(connection: RespConnection, key: Buffer, members: Members, mostBytes: number): Promise<void> {
  const length = Number(await connection.call("STRLEN", key));
  if (length > mostBytes) throw new TooLarge();
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const end = Math.min(length, filled + partBytes) - 1;
    const part = (await connection.call("GETRANGE", key, String(filled), String(end))) as Buffer;
    if (part.length === 0) break;
    filled += part.copy(bytes, filled);
  }
  members.over(bytes, 1);
  members.add(0, filled);
}

const whole: Readonly<Record<string, readonly [string, ...string[]]>> = {
  string: ["GET"],
  hash: ["HGETALL"],
  set: ["SMEMBERS"],
  list: ["LRANGE", "0", "-1"],
  zset: ["ZRANGE", "0", "-1", "WITHSCORES"],
  json: ["JSON.GET"],
};

async function readAtOnce(
  connection: RespConnection,
  key: Buffer,
  type: NativeType,
  members: Members,
  mostBytes: number,
): Promise<void> {
  if (type.dataType === "string" && Number(await connection.call("STRLEN", key)) > mostBytes) throw new TooLarge();
  const [command, ...rest] = whole[type.dataType] ?? ["DUMP"];
  await takePart(connection, members, false, command, key, ...rest);
  if (members.copied > mostBytes) throw new TooLarge();
}

/** Sends a command and copies the pieces of its answer. Returns the cursor of a scan. */
async function takePart(
  connection: RespConnection,
  members: Members,
  scan: boolean,
  ...command: readonly (string | Uint8Array)[]
): Promise<string> {
  const commands = new Commands();
  commands.add(...command);
  connection.send(commands);
  while (!connection.complete()) await connection.more();
  const { replies } = connection;
  let kind = replies.next();
  if (kind === replyKind.error) throw takeError(connection);
  let cursor = "0";
  if (scan) {
    replies.next();
    cursor = replies.text();
    kind = replies.next();
  }
  if (kind === replyKind.bulk) members.copy(replies.bytes, replies.start, replies.end);
  else if (kind === replyKind.array) {
    for (let left = replies.value; left > 0; left--) {
      replies.next();
      members.copy(replies.bytes, replies.start, replies.end);
    }
  }
  connection.done();
  return cursor;
}
