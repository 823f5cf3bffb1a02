import { ProtocolBroken } from "../../../net/broken.ts";
import type { Commands } from "../../../wire/resp/commands.ts";
import { commandHead } from "../../../wire/resp/commands.ts";
import { type Replies, replyKind } from "../../../wire/resp/replies.ts";
import type { Members } from "./members.ts";
import type { NativeType } from "../types.ts";

/** Values up to these sizes are read with one command, so at one moment; larger ones are read in parts. */
const firstMembers = 512;
const firstBytes = 65_536;

const number = (value: number): Uint8Array => Buffer.from(String(value));
const [zero, lastMember, lastByte, count, countWord, withScores] = [
  number(0),
  number(firstMembers - 1),
  number(firstBytes - 1),
  number(firstMembers),
  Buffer.from("COUNT"),
  Buffer.from("WITHSCORES"),
];

/** How the first part of a value is read. */
interface Reader {
  readonly command: string;
  readonly head: Uint8Array;
  /** The arguments after the key. */
  readonly rest: readonly Uint8Array[];
  /** Pieces per member. */
  readonly stride: 1 | 2;
  readonly reply: "bulk" | "scan" | "range";
}

const readers: Readonly<Record<string, Reader>> = {
  string: { command: "GETRANGE", head: commandHead(4, "GETRANGE"), rest: [zero, lastByte], stride: 1, reply: "bulk" },
  hash: { command: "HSCAN", head: commandHead(5, "HSCAN"), rest: [zero, countWord, count], stride: 2, reply: "scan" },
  set: { command: "SSCAN", head: commandHead(5, "SSCAN"), rest: [zero, countWord, count], stride: 1, reply: "scan" },
  zset: {
    command: "ZRANGE",
    head: commandHead(5, "ZRANGE"),
    rest: [zero, lastMember, withScores],
    stride: 2,
    reply: "range",
  },
  list: { command: "LRANGE", head: commandHead(4, "LRANGE"), rest: [zero, lastMember], stride: 1, reply: "range" },
  json: { command: "JSON.GET", head: commandHead(2, "JSON.GET"), rest: [], stride: 1, reply: "bulk" },
};

const dump: Reader = { command: "DUMP", head: commandHead(2, "DUMP"), rest: [], stride: 1, reply: "bulk" };

function readerOf(type: NativeType): Reader {
  return readers[type.dataType] ?? dump;
}

/** The command that {@link askFirst} sends. */
export function commandOf(type: NativeType): string {
  return readerOf(type).command;
}

export function strideOf(type: NativeType): 1 | 2 {
  return readerOf(type).stride;
}

/** Requests a value, or the first part of a large one. */
export function askFirst(commands: Commands, type: NativeType, keys: Uint8Array, start: number, end: number): void {
  const { head, rest } = readerOf(type);
  commands.begin(head);
  commands.argument(keys, start, end);
  for (const argument of rest) commands.argument(argument);
}

/**
 * Takes the complete answer to {@link askFirst}, without copying it.
 *
 * `more`: the value may be incomplete or missing; `error`: the error text is between `start` and `end`.
 */
export function takeFirst(replies: Replies, type: NativeType, members: Members): "whole" | "more" | "error" {
  const { stride, reply } = readerOf(type);
  const kind = replies.next();
  if (kind === replyKind.error) return "error";
  members.over(replies.bytes, stride);
  if (kind === replyKind.nil) return "more";
  if (kind !== (reply === "bulk" ? replyKind.bulk : replyKind.array)) {
    throw new ProtocolBroken(`the answer for a key of type ${type.name} has another form`);
  }
  if (reply === "bulk") {
    const length = replies.end - replies.start;
    members.add(replies.start, replies.end);
    return type.dataType === "string" && (length === 0 || length === firstBytes) ? "more" : "whole";
  }
  let whole = true;
  let pieces = replies.value;
  if (reply === "scan") {
    if (pieces !== 2) throw new ProtocolBroken("the answer to a scan of a key has not two parts");
    replies.string("the cursor of a key's scan");
    whole = replies.end - replies.start === 1 && replies.bytes[replies.start] === 0x30;
    pieces = replies.array("the list of a key's scan");
  }
  if (pieces % stride !== 0) throw new ProtocolBroken(`an odd number of parts for a key of type ${type.name}`);
  for (let left = pieces; left > 0; left--) {
    replies.string("a member of a key");
    members.add(replies.start, replies.end);
  }
  if (reply === "range" && pieces >= firstMembers * stride) whole = false;
  return whole && pieces > 0 ? "whole" : "more";
}
