import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

const deriveKey = promisify(pbkdf2);

/** The client side of SCRAM-SHA-256 (RFC 5802, RFC 7677), as RethinkDB uses it: no channel binding, no SASLprep. */
export class Scram {
  readonly #bare: string;
  readonly #nonce: string;
  readonly #password: string;
  #serverSignature: Buffer | null = null;

  constructor(user: string, password: string, nonce = randomBytes(18).toString("base64")) {
    this.#nonce = nonce;
    this.#password = password;
    this.#bare = `n=${user.replaceAll("=", "=3D").replaceAll(",", "=2C")},r=${nonce}`;
  }

  get first(): string {
    return `n,,${this.#bare}`;
  }

  /** The second message, made from the server's first; `null`: the server's message is invalid. */
  async second(serverFirst: string): Promise<string | null> {
    const { r, s, i } = attributes(serverFirst);
    const iterations = Number(i);
    if (r === undefined || s === undefined || !r.startsWith(this.#nonce)) return null;
    if (!Number.isInteger(iterations) || iterations < 1 || iterations > 10_000_000) return null;
    const salted = await deriveKey(this.#password, Buffer.from(s, "base64"), iterations, 32, "sha256");
    const clientKey = hmac(salted, "Client Key");
    const withoutProof = `c=biws,r=${r}`;
    const signed = `${this.#bare},${serverFirst},${withoutProof}`;
    const signature = hmac(createHash("sha256").update(clientKey).digest(), signed);
    const proof = clientKey.map((byte, index) => byte ^ signature[index]!);
    this.#serverSignature = hmac(hmac(salted, "Server Key"), signed);
    return `${withoutProof},p=${Buffer.from(proof).toString("base64")}`;
  }

  /** Whether the server's last message proves that the server knows the password. */
  verifies(serverFinal: string): boolean {
    const theirs = Buffer.from(attributes(serverFinal)["v"] ?? "", "base64");
    const ours = this.#serverSignature;
    return ours !== null && theirs.length === ours.length && timingSafeEqual(theirs, ours);
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

/** Parses `r=…,s=…,i=…`; a value may contain `=`. */
function attributes(message: string): Partial<Record<string, string>> {
  return Object.fromEntries(message.split(",").map((part) => [part.slice(0, 1), part.slice(2)]));
}
