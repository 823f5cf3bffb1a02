import type { Socket } from "node:net";
import { ReqlConnectionError } from "./failures.ts";
import { Scram } from "./scram.ts";

/** The magic number of V1_0, little-endian. */
const magic = Buffer.from("c3bdc234", "hex");

/** A longer handshake message is not from RethinkDB. */
const longestMessage = 64 << 10;

/** The error codes of a failed handshake, as recorded; see https://github.com/rethinkdb/rethinkdb. */
const loginCodes: Readonly<Record<number, "password wrong" | "user unknown">> = {
  12: "password wrong",
  17: "user unknown",
};

/**
 * Performs the handshake V1_0 with SCRAM-SHA-256 on a connected socket and resolves to the server's version. No
 * listener is left behind, and no byte after the handshake is consumed.
 */
export async function shakeHands(socket: Socket, user: string, password: string): Promise<string> {
  const messages = new Messages(socket);
  try {
    const scram = new Scram(user, password);
    const first = {
      protocol_version: 0,
      authentication_method: "SCRAM-SHA-256",
      authentication: scram.first,
    };
    // Both are sent at once: the server's answer to the magic number does not affect the next message.
    socket.write(Buffer.concat([magic, Buffer.from(`${JSON.stringify(first)}\0`)]));
    const hello = await messages.next();
    const serverFirst = await messages.next();
    const second = await scram.second(String(serverFirst["authentication"]));
    if (second === null) throw new ReqlConnectionError("not RethinkDB", "its answer to the login makes no sense");
    socket.write(`${JSON.stringify({ authentication: second })}\0`);
    const last = await messages.next();
    if (!scram.verifies(String(last["authentication"]))) {
      throw new ReqlConnectionError("login refused", "the server does not prove that it knows the password");
    }
    return String(hello["server_version"] ?? "unknown");
  } finally {
    messages.end();
  }
}

/** The messages of a handshake: JSON objects that end with a zero byte. */
class Messages {
  readonly #socket: Socket;
  #held = Buffer.alloc(0);
  #ended = false;
  #failed: Error | null = null;
  #wake: () => void = () => {};
  readonly #onReadable = (): void => {
    for (let part = this.#socket.read() as Buffer | null; part !== null; part = this.#socket.read() as Buffer | null)
      this.#held = Buffer.concat([this.#held, part]);
    this.#wake();
  };
  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#wake();
  };
  readonly #onError = (error: Error): void => {
    this.#failed = error;
    this.#wake();
  };

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("readable", this.#onReadable).on("end", this.#onEnd).on("close", this.#onEnd).on("error", this.#onError);
  }

  async next(): Promise<Record<string, unknown>> {
    for (;;) {
      const end = this.#held.indexOf(0);
      if (end >= 0) {
        const text = this.#held.toString("utf8", 0, end);
        this.#held = this.#held.subarray(end + 1);
        return parse(text);
      }
      if (this.#failed !== null) throw this.#failed;
      if (this.#held.length > longestMessage || this.#looksForeign()) {
        throw new ReqlConnectionError("not RethinkDB", JSON.stringify(this.#held.toString("latin1", 0, 120)));
      }
      if (this.#ended) {
        // What came so far is the beginning of a message, or nothing.
        throw new ReqlConnectionError("lost", "the connection ended during the handshake");
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  end(): void {
    this.#socket
      .off("readable", this.#onReadable)
      .off("end", this.#onEnd)
      .off("close", this.#onEnd)
      .off("error", this.#onError);
    if (this.#held.length > 0 && !this.#socket.destroyed) this.#socket.unshift(this.#held);
  }

  /**
   * Whether the answer comes from another kind of server. A message is a JSON object; `ERROR: …`, `HTTP/1.1 …` and
   * `RethinkDB cluster` are not, and may never end.
   */
  #looksForeign(): boolean {
    return this.#held.length > 0 && this.#held[0] !== 0x7b;
  }
}

function parse(text: string): Record<string, unknown> {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    throw new ReqlConnectionError("not RethinkDB", JSON.stringify(text.slice(0, 120)));
  }
  const { success, error, error_code: code } = (message ?? {}) as Record<string, unknown>;
  if (success === true) return message as Record<string, unknown>;
  throw new ReqlConnectionError(loginFailure(Number(code)), String(error ?? text));
}

/** Codes from 10 are about the login, lower ones about the protocol. */
function loginFailure(code: number): "password wrong" | "user unknown" | "login refused" | "not RethinkDB" {
  return loginCodes[code] ?? (code >= 10 && code <= 20 ? "login refused" : "not RethinkDB");
}
