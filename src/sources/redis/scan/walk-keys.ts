import { ProtocolBroken } from "../../../net/broken.ts";
import { Commands, commandHead } from "../../../wire/resp/commands.ts";
import type { RespConnection } from "../../../wire/resp/connection.ts";
import { RespError } from "../../../wire/resp/errors.ts";
import { replyKind } from "../../../wire/resp/replies.ts";
import { isElsewhere } from "../errors.ts";
import { askFirst } from "../values/collect.ts";
import type { Connections } from "../pool.ts";
import { takeError } from "./take.ts";
import { type KeyBatch, Scanner } from "./scan.ts";
import type { ScanWork } from "../work.ts";
import { TypeGuess } from "./type-guess.ts";
import { type NativeType, nativeType } from "../types.ts";

/** What to ask of each key besides its type and value. */
export interface KeyQuestions {
  readonly ttl: boolean;
  readonly expires: boolean;
  /** Whether keys of this type have rows in the table. */
  wants(type: NativeType): boolean;
}

/** Keys whose values were requested. The answers come from `connection`, in the order of `asked`. */
export interface AskedKeys {
  readonly connection: RespConnection;
  readonly keys: KeyBatch;
  /** Indexes of keys that exist and have a wanted type. */
  readonly asked: readonly number[];
  /** Learns from the answers; `null`: keys are looked up by name, and no type was guessed. */
  readonly guess: TypeGuess | null;
}

/** Batches that are requested at the same time, each on its own connection. */
const lanes = 2;

const typeHead = commandHead(2, "TYPE");
const ttlHead = commandHead(2, "PTTL");
const expiresHead = commandHead(2, "PEXPIRETIME");

/**
 * Walks over keys and requests their values ahead of the reader. While the answers of one batch are read, the next
 * batch is already requested, and so is the SCAN for the batch after it.
 */
export async function* walkKeys(
  pool: Connections,
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
    const guess = new TypeGuess();
    let turn: Promise<unknown> = Promise.resolve();
    const start = (connection: RespConnection): void => {
      const scanned = turn.then(() => scanner.next(batch.atLeast()));
      turn = scanned;
      const asked = scanned.then((keys) => (keys === null ? null : askKeys(connection, keys, questions, guess)));
      // The awaiting reader sees the error; this handler only keeps it from counting as unhandled before that.
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

/** Asks for the types of keys that can't be guessed, and requests the values of wanted keys. */
export async function askKeys(
  connection: RespConnection,
  keys: KeyBatch,
  questions: KeyQuestions,
  guess: TypeGuess | null,
): Promise<AskedKeys> {
  const commands = new Commands();
  const { bytes, starts, ends } = keys;
  for (let index = 0; index < keys.count; index++) {
    const guessed = guess?.guess(bytes, starts[index]!, ends[index]!) ?? null;
    // A wrong guess must not leave out a key, so a key that seems unwanted is asked.
    if (guessed !== null && questions.wants(guessed)) {
      keys.types[index] = guessed;
      continue;
    }
    commands.begin(typeHead);
    commands.argument(bytes, starts[index], ends[index]);
  }
  if (commands.count > 0) connection.send(commands);
  const asked: number[] = [];
  let last: NativeType | null = null;
  for (let index = 0; index < keys.count; index++) {
    if (keys.types[index] === null) {
      while (!connection.complete()) await connection.more();
      const type = takeType(connection, last);
      if (type instanceof RespError) {
        // A key from SCAN belongs to this node. A key that was requested by name may have moved to another node.
        if (guess === null && isElsewhere(type)) continue;
        throw type;
      }
      last = type;
      if (last === null) continue;
      guess?.learn(bytes, starts[index]!, ends[index]!, last, false);
      if (!questions.wants(last)) continue;
      keys.types[index] = last;
    }
    asked.push(index);
    askKey(commands, keys, index, questions);
  }
  if (asked.length > 0) connection.send(commands);
  return { connection, keys, asked, guess };
}

function askKey(commands: Commands, keys: KeyBatch, index: number, { ttl, expires }: KeyQuestions): void {
  const { bytes, starts, ends } = keys;
  if (ttl) {
    commands.begin(ttlHead);
    commands.argument(bytes, starts[index], ends[index]);
  }
  if (expires) {
    commands.begin(expiresHead);
    commands.argument(bytes, starts[index], ends[index]);
  }
  askFirst(commands, keys.types[index]!, bytes, starts[index]!, ends[index]!);
}

/** Makes no string if the type is that of the key before, as most are. Returns errors instead of throwing them. */
function takeType(connection: RespConnection, last: NativeType | null): NativeType | null | RespError {
  const { replies } = connection;
  const kind = replies.next();
  let type = last;
  if (kind === replyKind.error) return takeError(connection, "TYPE");
  if (kind !== replyKind.simple) throw new ProtocolBroken("the answer to TYPE is no type");
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
