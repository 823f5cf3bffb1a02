import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from "node:crypto";
import type { Store, User } from "./storage.ts";

const serverVersion = "2.4.4-standin";
/** V1_0, little-endian. */
const magic = Buffer.from("c3bdc234", "hex");
const foreign =
  "ERROR: Received an unsupported protocol version. This port is for RethinkDB queries. Does your client driver version not match the server?\n";

/** What a handshake wants done next. */
export type Step =
  | { readonly kind: "more" }
  | { readonly kind: "say"; readonly text: string }
  | { readonly kind: "refuse"; readonly text: string }
  | { readonly kind: "welcome"; readonly text: string; readonly user: User; readonly rest: Buffer };

/** The server's half of the handshake, as it was recorded. */
export class Login {
  readonly #store: Store;
  #held: Buffer = Buffer.alloc(0);
  #stage: "magic" | "first" | "second" = "magic";
  #user: User | null = null;
  #salt: Buffer = randomBytes(16);
  #iterations = 4_096;
  #nonce = "";
  #signed = "";

  constructor(store: Store) {
    this.#store = store;
  }

  push(chunk: Buffer): void {
    this.#held = Buffer.concat([this.#held, chunk]);
  }

  step(): Step {
    if (this.#stage === "magic") return this.#magic();
    const end = this.#held.indexOf(0);
    if (end < 0) return { kind: "more" };
    const text = this.#held.toString("utf8", 0, end);
    this.#held = this.#held.subarray(end + 1);
    let message: Record<string, unknown>;
    try {
      message = JSON.parse(text) as Record<string, unknown>;
    } catch {
      return refusal("Invalid JSON object.", 8);
    }
    return this.#stage === "first" ? this.#first(message) : this.#second(String(message["authentication"]));
  }

  #magic(): Step {
    if (this.#held.length < magic.length) return { kind: "more" };
    if (!this.#held.subarray(0, magic.length).equals(magic)) return { kind: "refuse", text: foreign };
    this.#held = this.#held.subarray(magic.length);
    this.#stage = "first";
    return said({ max_protocol_version: 0, min_protocol_version: 0, server_version: serverVersion, success: true });
  }

  #first(message: Record<string, unknown>): Step {
    if (message["protocol_version"] !== 0) return refusal("Unsupported `protocol_version`.", 2);
    if (message["authentication_method"] !== "SCRAM-SHA-256") return refusal("Unsupported `authentication_method`.", 4);
    const bare = String(message["authentication"]).slice(3);
    const [, name = "", nonce = ""] = /^n=([^,]*),r=(.*)$/.exec(bare) ?? [];
    // As the real one does: it forgets to undo `=2C` and `=3D`.
    this.#user = this.#store.users.get(name) ?? null;
    if (this.#user !== null) [this.#salt, this.#iterations] = [this.#user.salt, this.#user.iterations];
    this.#nonce = nonce + randomBytes(18).toString("base64");
    const first = `r=${this.#nonce},s=${this.#salt.toString("base64")},i=${this.#iterations}`;
    this.#signed = `${bare},${first}`;
    this.#stage = "second";
    return said({ authentication: first, success: true });
  }

  #second(final: string): Step {
    const user = this.#user;
    if (user === null) return refusal("Unknown user", 17);
    const [, withoutProof = "", nonce = "", proof = ""] = /^(c=biws,r=(.*)),p=(.*)$/.exec(final) ?? [];
    const salted = pbkdf2Sync(user.password, this.#salt, this.#iterations, 32, "sha256");
    const clientKey = hmac(salted, "Client Key");
    const signed = `${this.#signed},${withoutProof}`;
    const signature = hmac(createHash("sha256").update(clientKey).digest(), signed);
    const expected = clientKey.map((byte, index) => byte ^ signature[index]!);
    const given = Buffer.from(proof, "base64");
    if (nonce !== this.#nonce || given.length !== 32 || !timingSafeEqual(given, expected)) {
      return refusal("Wrong password", 12);
    }
    const text = said({
      authentication: `v=${hmac(hmac(salted, "Server Key"), signed).toString("base64")}`,
      success: true,
    });
    return { kind: "welcome", text: text.text, user, rest: this.#held };
  }
}

function said(message: object): { readonly kind: "say"; readonly text: string } {
  return { kind: "say", text: `${JSON.stringify(message)}\0` };
}

function refusal(error: string, code: number): Step {
  return { kind: "refuse", text: `${JSON.stringify({ error, error_code: code, success: false })}\0` };
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
