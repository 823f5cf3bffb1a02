const days = new Map<number, Buffer>();
/** Dates whose text is kept, because tables are often read in the order of time. */
const mostDays = 4_096;

const dayMilliseconds = 86_400_000;
/** The latest moment that a Date can hold. */
const latestDate = 8.64e15;

/**
 * Writes moments as ISO 8601 in UTC into reused bytes: `2024-05-17T12:34:56.789Z`, with microseconds if there are any.
 */
export class MomentText {
  readonly bytes = Buffer.alloc(128);
  length = 0;

  write(microseconds: number): void {
    const milliseconds = Math.floor(microseconds / 1_000);
    const day = Math.floor(milliseconds / dayMilliseconds);
    if (Math.abs(milliseconds) >= latestDate || day < -719_528 || day > 2_932_896) return this.#other(microseconds);
    const bytes = this.bytes;
    bytes.set(dateOf(day), 0);
    let rest = milliseconds - day * dayMilliseconds;
    const hours = Math.floor(rest / 3_600_000);
    rest -= hours * 3_600_000;
    const minutes = Math.floor(rest / 60_000);
    rest -= minutes * 60_000;
    const seconds = Math.floor(rest / 1_000);
    rest -= seconds * 1_000;
    bytes[10] = 0x54;
    this.#two(11, hours);
    bytes[13] = 0x3a;
    this.#two(14, minutes);
    bytes[16] = 0x3a;
    this.#two(17, seconds);
    bytes[19] = 0x2e;
    this.#three(20, rest);
    const micro = microseconds - milliseconds * 1_000;
    let length = 23;
    if (micro !== 0) {
      this.#three(23, micro);
      length = 26;
    }
    bytes[length] = 0x5a;
    this.length = length + 1;
  }

  /** Adds a bar and the moment's written form, at most 64 bytes: the same moment in another form is another value. */
  add(form: Uint8Array): void {
    this.bytes[this.length] = 0x7c;
    this.bytes.set(form, this.length + 1);
    this.length += 1 + form.length;
  }

  /** Years for which ISO 8601 has no four digits. */
  #other(microseconds: number): void {
    this.length = this.bytes.write(`${microseconds / 1e6} s`, "latin1");
  }

  #two(at: number, value: number): void {
    const tens = (value / 10) | 0;
    this.bytes[at] = 0x30 + tens;
    this.bytes[at + 1] = 0x30 + value - tens * 10;
  }

  #three(at: number, value: number): void {
    const hundreds = (value / 100) | 0;
    this.bytes[at] = 0x30 + hundreds;
    this.#two(at + 1, value - hundreds * 100);
  }
}

function dateOf(day: number): Buffer {
  const known = days.get(day);
  if (known !== undefined) return known;
  if (days.size >= mostDays) days.clear();
  const text = Buffer.from(new Date(day * dayMilliseconds).toISOString().slice(0, 10), "latin1");
  days.set(day, text);
  return text;
}
