import { connect, type Socket } from "node:net";
import { Scram } from "../../../src/wire/reql/scram.ts";
import type { Term } from "../../../src/wire/reql/terms.ts";
import type { Response } from "./recording.ts";

const magic = Buffer.from("c3bdc234", "hex");

/** A client that is not ours to ship: sends what it is told and gives back what comes. */
export class RawClient implements AsyncDisposable {
  readonly #socket: Socket;
  #held: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#held = Buffer.concat([this.#held, chunk]);
      this.#wake();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#ended = true;
      this.#wake();
    });
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect({ port, host: "127.0.0.1" });
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new RawClient(socket);
  }

  write(bytes: Buffer | string): void {
    this.#socket.write(bytes);
  }

  /** Text up to the next zero byte; what is left where the connection ends; `null` after that. */
  async message(): Promise<string | null> {
    while (!this.#held.includes(0) && !this.#ended) await this.#more();
    const end = this.#held.includes(0) ? this.#held.indexOf(0) : this.#held.length;
    if (this.#held.length === 0) return null;
    const text = this.#held.toString("utf8", 0, end);
    this.#held = this.#held.subarray(end + 1);
    return text;
  }

  send(token: number, text: string): void {
    const head = Buffer.alloc(12);
    head.writeBigInt64LE(BigInt(token), 0);
    head.writeUInt32LE(Buffer.byteLength(text), 8);
    this.#socket.write(Buffer.concat([head, Buffer.from(text)]));
  }

  /** The next answer and its token. */
  async answer(): Promise<{ readonly token: number; readonly text: string }> {
    while (this.#held.length < 12 || this.#held.length < 12 + this.#held.readUInt32LE(8)) {
      if (this.#ended) throw new Error("the connection ended");
      await this.#more();
    }
    const end = 12 + this.#held.readUInt32LE(8);
    const answer = { token: Number(this.#held.readBigInt64LE(0)), text: this.#held.toString("utf8", 12, end) };
    this.#held = this.#held.subarray(end);
    return answer;
  }

  /** Bytes that came and were not taken. */
  get held(): number {
    return this.#held.length;
  }

  async ask(token: number, query: unknown): Promise<Response> {
    this.send(token, typeof query === "string" ? query : JSON.stringify(query));
    return JSON.parse((await this.answer()).text) as Response;
  }

  async run(term: Term): Promise<Response> {
    return this.ask(1_000_000, [1, term, {}]);
  }

  #more(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
  }
}

/** The server's messages of a handshake. */
export async function* handshake(client: RawClient, user: string, password: string) {
  const scram = new Scram(user, password);
  const next = async (): Promise<{ message: Record<string, unknown> }> => ({
    message: JSON.parse((await client.message())!) as Record<string, unknown>,
  });
  client.write(magic);
  yield await next();
  const first = { protocol_version: 0, authentication_method: "SCRAM-SHA-256", authentication: scram.first };
  client.write(`${JSON.stringify(first)}\0`);
  const answer = await next();
  yield answer;
  client.write(`${JSON.stringify({ authentication: await scram.second(String(answer.message["authentication"])) })}\0`);
  const last = await next();
  if (last.message["success"] === true && !scram.verifies(String(last.message["authentication"])))
    throw new Error("the server does not know the password");
  yield last;
}
