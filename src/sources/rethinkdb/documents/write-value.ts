import type { Json } from "../../../protocol/json.ts";
import { canonicalJson, type Document, kinds, numberText } from "../../../wire/reql/document.ts";
import type { VectorBuilder } from "../../../toolkit/vectors.ts";
import { microsecondsOfSeconds } from "../timestamps/timestamps.ts";

/** Writes a value in the natural type of its kind, {@link typeOfKind}; a whole number may also be written as DOUBLE. */
export function writeNaturally(target: VectorBuilder, document: Document, field: number): void {
  const { bytes, spans } = document;
  switch (document.kinds[field]) {
    case kinds.null:
      return target.null();
    case kinds.false:
      return target.boolean(false);
    case kinds.true:
      return target.boolean(true);
    case kinds.integer:
      if (target.type.kind === "INT") return target.int32(document.numbers[field]!);
      return target.float64(document.numbers[field]!);
    case kinds.number:
    case kinds.rounded:
      return target.float64(document.numbers[field]!);
    case kinds.time:
      return writeSeconds(target, document.numbers[field]!);
    case kinds.text:
    case kinds.json:
      return target.bytesOf(bytes, spans[field * 2]!, spans[field * 2 + 1]!);
    case kinds.binary: {
      const decoded = Buffer.from(unescaped(document, field), "base64");
      return target.bytesOf(decoded, 0, decoded.length);
    }
    case kinds.looseJson:
      return target.text(jsonText(document, field));
    default:
      return target.text(unescaped(document, field));
  }
}

function writeSeconds(target: VectorBuilder, seconds: number): void {
  const microseconds = microsecondsOfSeconds(seconds);
  if (Number.isSafeInteger(microseconds)) target.int64Number(microseconds);
  else target.bigint64(BigInt(Math.round(seconds * 1e3)) * 1_000n);
}

/** Writes microseconds since 1970, from values that are not RethinkDB times. */
export function writeMoment(target: VectorBuilder, microseconds: number): void {
  if (Number.isSafeInteger(microseconds)) target.int64Number(microseconds);
  else target.bigint64(BigInt.asIntN(64, BigInt(Math.round(microseconds))));
}

/** Text without its escapes. */
function unescaped({ bytes, spans, kinds: all }: Document, field: number): string {
  const text = bytes.toString("utf8", spans[field * 2], spans[field * 2 + 1]);
  return all[field] !== kinds.text && text.includes("\\") ? (JSON.parse(`"${text}"`) as string) : text;
}

/** Any value as canonical JSON. Times and binaries become the objects that RethinkDB uses for them. */
export function jsonText(document: Document, field: number): string {
  const { bytes, spans, numbers } = document;
  const span = (): string => bytes.toString("utf8", spans[field * 2], spans[field * 2 + 1]);
  switch (document.kinds[field]) {
    case kinds.null:
      return "null";
    case kinds.false:
      return "false";
    case kinds.true:
      return "true";
    case kinds.integer:
    case kinds.number:
    case kinds.rounded:
      return numberText(numbers[field]!);
    case kinds.time:
      return `{"$reql_type$":"TIME","epoch_time":${numberText(numbers[field]!)},"timezone":"+00:00"}`;
    case kinds.binary: {
      const base64 = unescaped(document, field).replaceAll(/\s/g, "");
      return `{"$reql_type$":"BINARY","data":${JSON.stringify(base64)}}`;
    }
    case kinds.json:
      return span();
    case kinds.looseJson:
      return canonicalJson(span());
    default:
      return JSON.stringify(unescaped(document, field));
  }
}

export function jsonValue(document: Document, field: number): Json {
  return JSON.parse(jsonText(document, field)) as Json;
}
