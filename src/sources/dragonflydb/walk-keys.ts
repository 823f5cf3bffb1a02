import { Commands, commandHead } from "../../toolkit/resp/commands.ts";
import type { RespConnection } from "../../toolkit/resp/connection.ts";
import { RespError } from "../../toolkit/resp/errors.ts";
import { replyKind } from "../../toolkit/resp/replies.ts";
import { askFirst } from "./collect.ts";
import type { Pool } from "./pool.ts";
import { type KeyBatch, Scanner, type ScanWork } from "./scan.ts";
import { type NativeType, nativeType } from "./types.ts";

/** What is asked of each key beside its type and value. */
export interface KeyQuestions {
  readonly ttl: boolean;
  readonly expires: boolean;
  /** Whether keys of this type have rows in the table. */
  wants(type: NativeType): boolean;
}

/** Keys whose values have been asked for: the answers come from `connection`, in the order of `asked`. */
export interface AskedKeys {
  readonly connection: RespConnection;
  readonly keys: KeyBatch;
  /** Indexes of keys that are there, of a type that is wanted. */
  readonly asked: readonly number[];
}

/** Batches that are on their way at the same time, each on a connection of its own. */
const lanes = 2;

const typeHead = commandHead(2, "TYPE");
const ttlHead = commandHead(2, "PTTL");
const expiresHead = commandHead(2, "PEXPIRETIME");

/**
 * Goes over keys, and asks for their values ahead of whoever reads them: while the answers of one batch are read,
 * those of the next are under way, and the SCAN for the one after it.
 */
export async function* walkKeys(
  pool: Pool,
  work: ScanWork,
  cursor: string,
  questions: KeyQuestions,
  batch: { readonly scanned: number; atLeast(): number },
  signal: AbortSignal,
): AsyncGenerator<AskedKeys> {
  const connections: RespConnection[] = [];
  const ahead: Promise<AskedKeys | null>[] = [];
  let finished = false;
  try {
    const scanConnection = await pool.take(signal);
    connections.push(scanConnection);
    const scanner = new Scanner(scanConnection, work, cursor, batch.scanned);
    let turn: Promise<unknown> = Promise.resolve();
    const start = (connection: RespConnection): void => {
      const scanned = turn.then(() => scanner.next(batch.atLeast()));
      turn = scanned;
      const asked = scanned.then((keys) => (keys === null ? null : askKeys(connection, keys, questions)));
      // Whoever awaits it sees the error; here it only must not count as unhandled before that.
      asked.catch(() => {});
      ahead.push(asked);
    };
    for (let lane = 0; lane < lanes; lane++) {
      const connection = await pool.take(signal);
      connections.push(connection);
      start(connection);
    }
    for (;;) {
      const asked = await ahead.shift()!;
      if (asked === null) break;
      yield asked;
      start(asked.connection);
    }
    finished = true;
  } finally {
    if (!finished) for (const connection of connections) connection.destroy();
    await Promise.allSettled(ahead);
    for (const connection of connections) pool.give(connection);
  }
}

/** Learns the types of keys, and asks for the values of those that are wanted. */
export async function askKeys(connection: RespConnection, keys: KeyBatch, questions: KeyQuestions): Promise<AskedKeys> {
  const commands = new Commands();
  const { ttl, expires } = questions;
  for (let index = 0; index < keys.count; index++) {
    for (const head of [typeHead, ...(ttl ? [ttlHead] : []), ...(expires ? [expiresHead] : [])]) {
      commands.begin(head);
      commands.argument(keys.bytes, keys.starts[index], keys.ends[index]);
    }
  }
  connection.send(commands);
  const asked: number[] = [];
  let lastType: NativeType | null = null;
  for (let index = 0; index < keys.count; index++) {
    while (!connection.complete()) await connection.more();
    lastType = takeType(connection, lastType);
    if (ttl) keys.ttls[index] = await takeInteger(connection);
    if (expires) keys.expires[index] = await takeInteger(connection);
    if (lastType === null || !questions.wants(lastType)) continue;
    keys.types[index] = lastType;
    asked.push(index);
    askFirst(commands, lastType, keys.bytes, keys.starts[index]!, keys.ends[index]!);
  }
  if (asked.length > 0) connection.send(commands);
  return { connection, keys, asked };
}

/** Most keys are of the type of the one before: then no string is made. */
function takeType(connection: RespConnection, last: NativeType | null): NativeType | null {
  const { replies } = connection;
  const kind = replies.next();
  let type = last;
  if (kind === replyKind.error) throw takeError(connection);
  const { bytes, start, end } = replies;
  if (
    last === null ||
    last.name.length !== end - start ||
    bytes[start] !== last.name.charCodeAt(0) ||
    replies.text() !== last.name
  )
    type = nativeType(replies.text());
  connection.done();
  return type;
}

async function takeInteger(connection: RespConnection): Promise<number> {
  while (!connection.complete()) await connection.more();
  if (connection.replies.next() === replyKind.error) throw takeError(connection);
  const { value } = connection.replies;
  connection.done();
  return value;
}

function takeError(connection: RespConnection): RespError {
  const error = new RespError(connection.replies.text());
  connection.done();
  return error;
}
