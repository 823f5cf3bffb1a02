import { ProtocolBroken } from "../../../net/broken.ts";
import type { HeadwatersError } from "../../../protocol/errors.ts";
import { Commands } from "../../../wire/resp/commands.ts";
import type { RespConnection } from "../../../wire/resp/connection.ts";
import { RespError, unknownCommand } from "../../../wire/resp/errors.ts";
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
    let watched = false;
    try {
      if (inParts) await connection.call("WATCH", key);
      watched = inParts;
      const type = nativeType(String(await connection.call("TYPE", key)));
      if (type === null) {
        await unwatch(connection, watched);
        return { kind: "gone" };
      }
      members.gather(strideOf(type));
      const loop = inParts ? await readParts(connection, key, type, members, mostBytes) : null;
      if (!inParts) await readAtOnce(connection, key, type, members, mostBytes);
      // Only a string can exist and be empty; its empty answer still counts as one piece.
      if (!inParts || (await isUnchanged(connection))) {
        if (loop !== null) throw loop;
        return members.pieces === 0 ? { kind: "gone" } : { kind: "whole", type };
      }
    } catch (thrown) {
      if (thrown instanceof TooLarge) {
        await unwatch(connection, watched);
        return { kind: "too large" };
      }
      if (!(thrown instanceof RespError)) throw thrown;
      if (inParts && isPartDenied(thrown)) {
        watch = false;
        // Without EXEC, the transaction is still open.
        if (thrown.command === "EXEC" && unknownCommand(thrown) !== null) await connection.call("DISCARD");
        else await unwatch(connection, watched && thrown.command !== "MULTI" && thrown.command !== "EXEC");
        continue;
      }
      // The value changed its type in between.
      if (!isWrongType(thrown) || attempt >= attempts) throw thrown;
      await unwatch(connection, watched);
    }
  }
}

/**
 * A command that only reading in parts needs is not allowed, or does not exist. The error of a denied EXEC is
 * `EXECABORT … NOPERM …`.
 */
function isPartDenied(error: RespError): boolean {
  if (unknownCommand(error) !== null) return true;
  return /\bNOPERM\b/.test(error.message) && ["WATCH", "MULTI", "EXEC"].includes(error.command ?? "");
}

async function unwatch(connection: RespConnection, watched: boolean): Promise<void> {
  if (watched) await connection.call("UNWATCH");
}

/** Ends the watch: the server refuses an empty transaction if the key was written to. */
async function isUnchanged(connection: RespConnection): Promise<boolean> {
  await connection.call("MULTI");
  return (await connection.call("EXEC")) !== null;
}

/** Returns the error of a scan that goes round: older Dragonfly does so if the key is deleted meanwhile. Else `null`. */
async function readParts(
  connection: RespConnection,
  key: Buffer,
  type: NativeType,
  members: Members,
  mostBytes: number,
): Promise<HeadwatersError | null> {
  const check = (): void => {
    if (members.copied > mostBytes) throw new TooLarge();
  };
  switch (type.dataType) {
    case "string":
      await readString(connection, key, members, mostBytes);
      return null;
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
        const round = cursor === "0" ? null : loop.see(cursor);
        if (round !== null) return round;
      } while (cursor !== "0");
      return null;
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
        if (members.length - before < partMembers) return null;
        members.expect(length * members.stride);
      }
    }
    default:
      await readAtOnce(connection, key, type, members, mostBytes);
      return null;
  }
}

async function readString(connection: RespConnection, key: Buffer, members: Members, mostBytes: number): Promise<void> {
  const length = Number(await connection.call("STRLEN", key));
  if (length > mostBytes) throw new TooLarge();
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const end = Math.min(length, filled + partBytes) - 1;
    const part = await connection.call("GETRANGE", key, String(filled), String(end));
    if (!Buffer.isBuffer(part)) throw new ProtocolBroken("the answer to GETRANGE is no string");
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
  if (kind === replyKind.error) throw takeError(connection, String(command[0]));
  let cursor = "0";
  if (scan) {
    if (kind !== replyKind.array || replies.value !== 2) {
      throw new ProtocolBroken("the answer to a scan of a key has not two parts");
    }
    cursor = replies.cursor("the cursor of a key's scan");
    kind = replies.next();
  }
  if (kind === replyKind.bulk && !scan) members.copy(replies.bytes, replies.start, replies.end);
  else if (kind === replyKind.array) {
    for (let left = replies.value; left > 0; left--) {
      replies.string("a member of a key");
      members.copy(replies.bytes, replies.start, replies.end);
    }
  } else if (kind !== replyKind.nil) throw new ProtocolBroken("the answer for a key has another form");
  connection.done();
  return cursor;
}
