import { type Document, enlarged, isRounded, kinds, latestTime, numberText } from "./document.ts";

type Value = null | boolean | number | string | readonly Value[] | { readonly [key: string]: Value };

/**
 * Reads documents from an answer with `JSON.parse`. This is slower than `Scanner` and shares no code with it, so that
 * each can check the other.
 */
export class ParsedDocuments implements Document {
  bytes: Buffer = Buffer.alloc(0);
  readonly start = 0;
  end = 0;
  readonly loose = false;
  fields = 0;
  kinds = new Uint8Array(32);
  names = new Int32Array(64);
  spans = new Int32Array(64);
  numbers = new Float64Array(32);
  #rows: readonly Value[] = [];
  #next = 0;

  load(answer: Buffer): void {
    this.#rows = (JSON.parse(answer.toString()) as { readonly r: readonly Value[] }).r;
    this.#next = 0;
  }

  next(): boolean {
    if (this.#next === this.#rows.length) return false;
    const document = this.#rows[this.#next++] as { readonly [key: string]: Value };
    this.fields = 0;
    const parts: Buffer[] = [Buffer.from(sorted(document))];
    this.end = parts[0]!.length;
    let position = this.end;
    const add = (text: string | Buffer): readonly [number, number] => {
      const part = typeof text === "string" ? Buffer.from(text) : text;
      parts.push(part);
      position += part.length;
      return [position - part.length, position];
    };
    for (const [name, value] of Object.entries(document)) {
      const field = this.fields++;
      if (field === this.kinds.length) this.#grow();
      this.names.set(add(JSON.stringify(name).slice(1, -1)), field * 2);
      const { kind, text, number } = looked(value);
      this.kinds[field] = kind;
      this.numbers[field] = number;
      this.spans.set(add(text), field * 2);
    }
    this.bytes = Buffer.concat(parts);
    return true;
  }

  #grow(): void {
    this.kinds = enlarged(this.kinds);
    this.names = enlarged(this.names);
    this.spans = enlarged(this.spans);
    this.numbers = enlarged(this.numbers);
  }
}

function looked(value: Value): { readonly kind: number; readonly text: string; readonly number: number } {
  if (value === null) return { kind: kinds.null, text: "", number: 0 };
  if (typeof value === "boolean") return { kind: value ? kinds.true : kinds.false, text: "", number: 0 };
  if (typeof value === "string") return { kind: kinds.text, text: value, number: 0 };
  if (typeof value === "number") {
    const whole = Number.isInteger(value) && Math.abs(value) <= 0x7fffffff && !Object.is(value, -0);
    const kind = whole ? kinds.integer : isRounded(value) ? kinds.rounded : kinds.number;
    return { kind, text: "", number: value };
  }
  const { $reql_type$: type, epoch_time: seconds, data } = value as { readonly [key: string]: Value };
  if (type === "TIME" && typeof seconds === "number" && Math.abs(seconds) < latestTime) {
    return { kind: kinds.time, text: "", number: seconds };
  }
  if (type === "BINARY" && typeof data === "string") return { kind: kinds.binary, text: data, number: 0 };
  return { kind: kinds.json, text: sorted(value), number: 0 };
}

/** JSON with the fields sorted by the bytes of their names, as RethinkDB keeps them. */
function sorted(value: Value): string {
  if (typeof value === "number") return numberText(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(sorted).join(",")}]`;
  const names = Object.keys(value).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const object = value as { readonly [key: string]: Value };
  return `{${names.map((name) => `${JSON.stringify(name)}:${sorted(object[name]!)}`).join(",")}}`;
}
