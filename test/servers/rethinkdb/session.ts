import type { Socket } from "node:net";
import { demand } from "./access.ts";
import { type Datum, print } from "./datum.ts";
import { type Context, evaluate } from "./call.ts";
import { Feed } from "./feeds.ts";
import { fail, Failure } from "./failure.ts";
import { Login } from "./login.ts";
import { rules } from "./rules.ts";
import type { Store, User } from "./storage.ts";
import { type FeedValue, type Row, rowsOf, toDatum, type Value } from "./values.ts";

/** What the sessions of a server share. */
export interface Behaviour {
  readonly store: Store;
  readonly indexDelay: number;
  /** Milliseconds since 1970 until which reads fail as they do after a restart. */
  unavailableUntil: number;
  /** Nothing is read or answered. */
  frozen: boolean;
  /** Milliseconds that each query waits before it is answered. */
  delay: number;
  /** The most bytes that all sessions together send in a second; `null`: as many as they can. */
  bytesPerSecond: number | null;
  /** When the next answer may be sent, by `performance.now()`. */
  free: number;
  /** Called with each answer before it is sent: how many of its bytes go out before the connection breaks. */
  breakAfter: ((answer: Buffer) => number | null) | null;
  /**
   * Answers to queries that read a table as it stands, kept so that they are encoded only once (`null`: they are not):
   * a bench of clients must not measure this server.
   */
  encoded: Map<string, readonly Buffer[]> | null;
  /** Every query that was evaluated, for tests that look at what is asked. */
  onQuery: ((query: unknown) => void) | null;
}

/** About how many bytes an answer has; the first one has a quarter. */
const batchBytes = 1 << 20;
/** A table is read from as many hash shards at once. */
const hashShards = 8;

/** Answers that are made already; the next one. */
interface Encoded {
  readonly answers: readonly Buffer[];
  next: number;
}

interface Cursor {
  readonly rows: Iterator<Row>;
  readonly ordered: boolean;
  readonly options: Context["options"];
  first: boolean;
  next: IteratorResult<Row> | null;
}

/** One client. */
export class Session {
  readonly #socket: Socket;
  readonly #behaviour: Behaviour;
  readonly #login: Login;
  readonly #cursors = new Map<bigint, Cursor | Encoded | Feed>();
  #user: User | null = null;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #broken = false;

  private constructor(socket: Socket, behaviour: Behaviour) {
    this.#socket = socket;
    this.#behaviour = behaviour;
    this.#login = new Login(behaviour.store);
  }

  /** Serves a client until it goes. */
  static serve(socket: Socket, behaviour: Behaviour): void {
    const session = new Session(socket, behaviour);
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("close", () => {
      for (const cursor of session.#cursors.values()) if (cursor instanceof Feed) cursor.stop();
    });
    socket.on("data", (chunk: Buffer) => {
      if (behaviour.frozen) return;
      if (session.#user === null) session.#shakeHands(chunk);
      else session.#read(chunk);
    });
  }

  #shakeHands(chunk: Buffer): void {
    this.#login.push(chunk);
    for (;;) {
      const step = this.#login.step();
      if (step.kind === "more") return;
      if (step.kind === "refuse") return void this.#socket.end(step.text);
      this.#socket.write(step.text);
      if (step.kind !== "welcome") continue;
      this.#user = step.user;
      if (step.rest.length > 0) this.#read(step.rest);
      return;
    }
  }

  #read(chunk: Buffer): void {
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    while (this.#heldBytes >= 12) {
      const all = this.#held.length === 1 ? this.#held[0]! : Buffer.concat(this.#held);
      const length = all.readUInt32LE(8);
      this.#held = [all];
      if (all.length < 12 + length) return;
      const rest = all.subarray(12 + length);
      this.#held = [rest];
      this.#heldBytes = rest.length;
      void this.#answer(all.readBigInt64LE(0), all.toString("utf8", 12, 12 + length));
    }
  }

  async #answer(token: bigint, text: string): Promise<void> {
    const { delay } = this.#behaviour;
    if (delay > 0 && text !== "[5]") await new Promise((resolve) => setTimeout(resolve, delay));
    let body: Buffer;
    try {
      body = await this.#respond(token, text);
    } catch (thrown) {
      // What is said of a token leaves its cursor as it is.
      if (!(thrown instanceof Failure && thrown.type === 16)) this.#cursors.delete(token);
      body = errorBody(thrown);
    }
    await this.#pace(body.length);
    if (this.#behaviour.frozen || this.#broken || this.#socket.destroyed) return;
    const head = Buffer.alloc(12);
    head.writeBigInt64LE(token, 0);
    head.writeUInt32LE(body.length, 8);
    const most = this.#behaviour.breakAfter?.(body) ?? null;
    if (most === null) {
      this.#socket.cork();
      this.#socket.write(head);
      this.#socket.write(body);
      return this.#socket.uncork();
    }
    const answer = Buffer.concat([head, body]);
    this.#broken = true;
    this.#socket.write(answer.subarray(0, most), () => this.#socket.destroy());
  }

  async #pace(bytes: number): Promise<void> {
    const behaviour = this.#behaviour;
    if (behaviour.bytesPerSecond === null) return;
    const now = performance.now();
    behaviour.free = Math.max(behaviour.free, now) + (bytes / behaviour.bytesPerSecond) * 1_000;
    if (behaviour.free - now > 1) await new Promise((resolve) => setTimeout(resolve, behaviour.free - now));
  }

  async #respond(token: bigint, text: string): Promise<Buffer> {
    let query: unknown;
    try {
      query = JSON.parse(text);
    } catch {
      throw client("Client is buggy (failed to deserialize query).");
    }
    if (!Array.isArray(query)) {
      throw client("Server could not parse query: Expected a query to be an array, but found OBJECT.");
    }
    const [type, term, options = {}] = query as [number, unknown, Context["options"]?];
    const cursor = this.#cursors.get(token);
    switch (type) {
      case 1:
        if (cursor !== undefined) throw client(`ERROR: duplicate token ${token}`);
        this.#behaviour.onQuery?.(query);
        return this.#start(token, term, options);
      case 2:
        if (cursor === undefined) throw client(`Token ${token} not in stream cache.`);
        if (cursor instanceof Feed) return this.#more(token, cursor);
        return "answers" in cursor ? this.#nextEncoded(token, cursor) : this.#batch(token, cursor);
      case 3:
        if (cursor === undefined) throw client(`Token ${token} not in stream cache.`);
        this.#cursors.delete(token);
        if (cursor instanceof Feed) cursor.stop();
        return Buffer.from(ended);
      case 4:
        return Buffer.from(`{"t":4,"r":[]}`);
      case 5:
        return Buffer.from(
          `{"t":5,"r":[${print({ id: this.#behaviour.store.serverId, name: "standin", proxy: false })}]}`,
        );
      default:
        throw client(`Server could not parse query: Unrecognized QueryType: ${type}.`);
    }
  }

  async #start(token: bigint, term: unknown, options: Context["options"]): Promise<Buffer> {
    const { store, indexDelay } = this.#behaviour;
    const context: Context = { store, user: this.#user!, now: Date.now(), options, indexDelay, rules };
    const value = evaluate(term, context, []);
    if (Date.now() < this.#behaviour.unavailableUntil && readsTable(value, term)) {
      throw fail("failed", `Cannot perform read: primary replica for shard ["", +inf) not available`, []);
    }
    if (value.kind === "feed") return this.#subscribe(token, value, options);
    if (value.kind === "later") return Buffer.from(`{"t":1,"r":[${print(await value.promise)}]}`);
    if (value.kind !== "table" && value.kind !== "stream") {
      return Buffer.from(`{"t":1,"r":[${print(toDatum(value, []))}]}`);
    }
    if (options["max_batch_rows"] === 0) throw fail("internal", "Query parse error.", []);
    const ordered = value.kind === "table" ? value.by !== null : (value.of?.by ?? null) !== null;
    const rows = rowsOf(readableHere(value, context), [])[Symbol.iterator]();
    const cursor: Cursor = { rows, ordered, options, first: true, next: null };
    if (this.#behaviour.encoded !== null && value.kind === "table") {
      return this.#fromEncoded(token, cursor, JSON.stringify([value.table.id, value.table.version, term, options]));
    }
    this.#cursors.set(token, cursor);
    return this.#batch(token, cursor);
  }

  #subscribe(token: bigint, value: FeedValue, options: Context["options"]): Buffer {
    if (Date.now() < this.#behaviour.unavailableUntil) {
      const { database, table } = value.table;
      const what = `cannot subscribe to table \`${database.name}.${table.name}\``;
      throw fail("failed", `${what}: primary replica for shard ["", +inf) not available`, []);
    }
    const feed = new Feed(value, this.#user!, options);
    this.#cursors.set(token, feed);
    return itemsBody(feed, feed.first());
  }

  async #more(token: bigint, feed: Feed): Promise<Buffer> {
    const items = await feed.next();
    if (items !== null) return itemsBody(feed, items);
    this.#cursors.delete(token);
    return Buffer.from(ended);
  }

  #fromEncoded(token: bigint, cursor: Cursor, id: string): Buffer {
    const encoded = this.#behaviour.encoded!;
    let answers = encoded.get(id);
    if (answers === undefined) {
      const made: Buffer[] = [];
      this.#cursors.set(token, cursor);
      while (this.#cursors.has(token)) made.push(this.#batch(token, cursor));
      encoded.set(id, (answers = made));
    }
    return this.#nextEncoded(token, { answers, next: 0 });
  }

  #nextEncoded(token: bigint, cursor: Encoded): Buffer {
    const answer = cursor.answers[cursor.next++]!;
    if (cursor.next < cursor.answers.length) this.#cursors.set(token, cursor);
    else this.#cursors.delete(token);
    return answer;
  }

  #batch(token: bigint, cursor: Cursor): Buffer {
    const { bytes, rows } = limits(cursor);
    cursor.first = false;
    const parts: Buffer[] = [];
    let filled = 0;
    let next = cursor.next ?? cursor.rows.next();
    for (
      ;
      next.done !== true && parts.length < rows && (filled < bytes || parts.length === 0);
      next = cursor.rows.next()
    ) {
      const part =
        next.value.entry?.document === next.value.datum ? next.value.entry!.text : Buffer.from(print(next.value.datum));
      parts.push(part);
      filled += part.length + 1;
    }
    cursor.next = next;
    if (next.done === true) this.#cursors.delete(token);
    return enclosed(`{"t":${next.done === true ? 2 : 3},"r":[`, parts, filled, `],"n":[]}`);
  }
}

const ended = `{"t":2,"r":[],"n":[]}`;

function itemsBody(feed: Feed, items: readonly Datum[]): Buffer {
  return Buffer.from(`{"t":3,"r":[${items.map(print).join(",")}],"n":${feed.notes}}`);
}

/** As `batching.cc` of RethinkDB has it, nearly: rows are counted by hash shard, bytes over all. */
function limits({ first, ordered, options }: Cursor): { readonly bytes: number; readonly rows: number } {
  const option = (name: string, otherwise: number): number => (options[name] as number | undefined) ?? otherwise;
  const scale = first ? option("first_batch_scaledown_factor", 4) : 1;
  const rows = option("max_batch_rows", Infinity);
  const spread = ordered ? (first ? 1 : hashShards / 2) : hashShards;
  return {
    bytes: option("max_batch_bytes", batchBytes) / scale,
    rows: Math.max(1, Math.floor(rows / scale)) * spread,
  };
}

/** A user who may not read a table may not read it without terms around it either. */
function readableHere(value: Value & { kind: "table" | "stream" }, context: Context): Value {
  if (value.kind === "table") demand(context.user, "read", value.database, value.table, []);
  return value;
}

function readsTable(value: Value, term: unknown): boolean {
  return (
    value.kind === "table" ||
    value.kind === "stream" ||
    value.kind === "selection" ||
    JSON.stringify(term).startsWith("[43,")
  );
}

function enclosed(before: string, parts: readonly Buffer[], filled: number, after: string): Buffer {
  const body = Buffer.allocUnsafe(before.length + Math.max(0, filled - 1) + after.length);
  let position = body.write(before, "latin1");
  for (const [index, part] of parts.entries()) {
    if (index > 0) body[position++] = 0x2c;
    position += part.copy(body, position);
  }
  body.write(after, position, "latin1");
  return body;
}

function client(message: string): Failure {
  return new Failure(16, null, message, []);
}

function errorBody(thrown: unknown): Buffer {
  if (!(thrown instanceof Failure)) {
    const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    return Buffer.from(`{"t":18,"e":1000000,"r":[${JSON.stringify(`stand-in: ${text}`)}],"b":[]}`);
  }
  const code = thrown.code === null ? "" : `"e":${thrown.code},`;
  return Buffer.from(`{"t":${thrown.type},${code}"r":[${print(thrown.message)}],"b":${JSON.stringify(thrown.path)}}`);
}
