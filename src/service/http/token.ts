import { createHash, timingSafeEqual } from "node:crypto";

/** How many wrong tokens one address may send within {@link window}; then it has to wait. */
const mostWrong = 10;
const window = 60_000;

/** How many addresses are remembered. */
const mostAddresses = 1_000;

/** Whether a request may go on: it has the token, it does not, or its address has sent too many wrong ones. */
export type Admission = "admitted" | "refused" | { readonly waits: number };

/** Compares tokens in constant time, and keeps addresses from guessing. */
export class Doorkeeper {
  readonly #token: Buffer;
  readonly #now: () => number;
  readonly #wrong = new Map<string, { count: number; until: number }>();

  constructor(token: string, now: () => number) {
    this.#token = digest(token);
    this.#now = now;
  }

  /** `authorization`: the header. `address`: whose request it is. */
  admit(authorization: string | undefined, address: string): Admission {
    const now = this.#now();
    const known = this.#wrong.get(address);
    if (known !== undefined && known.until <= now) this.#wrong.delete(address);
    else if (known !== undefined && known.count >= mostWrong) return { waits: known.until - now };
    const given = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(authorization ?? "")?.[1];
    if (given === undefined) return "refused";
    if (timingSafeEqual(digest(given), this.#token)) return "admitted";
    const { count = 0, until = now + window } = this.#wrong.get(address) ?? {};
    if (this.#wrong.size >= mostAddresses && count === 0) this.#wrong.delete(this.#wrong.keys().next().value!);
    this.#wrong.set(address, { count: count + 1, until });
    return "refused";
  }
}

/** Digests have a fixed length, whatever is compared. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
