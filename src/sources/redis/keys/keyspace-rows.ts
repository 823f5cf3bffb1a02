import type { Rows } from "../../../protocol/rows.ts";
import type { Column, Table } from "../../../protocol/table.ts";
import { RowsBuilder, type VectorBuilder } from "../../../toolkit/vectors.ts";
import { canonicalJson } from "../values/canonical-json.ts";
import type { Configuration } from "../config.ts";
import type { Members } from "../values/members.ts";
import { microsecondsOf } from "../values/moments.ts";
import type { KeyRows } from "./key-reader.ts";
import type { KeyBatch } from "../scan/scan.ts";
import { isText, marked } from "../values/text.ts";
import { type NativeType, nativeTypes } from "../types.ts";
import { ValueWriter } from "../values/value-writer.ts";
import { versionColumn } from "../values/version-column.ts";
import type { KeyQuestions } from "../scan/walk-keys.ts";

const most = 2_147_483_647;

/** The published example's type for a key that can't be read. */
const errorType = Buffer.from("error");

/** The table of all keys. */
export class KeyspaceRows implements KeyRows {
  readonly questions: KeyQuestions;
  readonly #rows: RowsBuilder;
  readonly #writer = new ValueWriter();
  readonly #binary: Configuration["binary"];
  readonly #version = Buffer.alloc(16);
  readonly #key: VectorBuilder | null;
  readonly #value: VectorBuilder | null;
  readonly #valueBinary: VectorBuilder | null;
  readonly #dataType: VectorBuilder | null;
  readonly #ttl: VectorBuilder | null;
  readonly #expiresAt: VectorBuilder | null;
  readonly #lastModified: VectorBuilder | null;
  readonly #size: VectorBuilder | null;
  readonly #versionBuilder: VectorBuilder | null;
  readonly #now: number;

  /** `now`: the value of `last_modified`, in milliseconds since 1970. */
  constructor(
    columns: readonly Column[],
    configuration: Configuration,
    now: number,
    onSkipped: (type: string) => void,
  ) {
    this.#rows = new RowsBuilder(columns);
    this.#binary = configuration.binary;
    this.#now = now;
    const builder = (name: string): VectorBuilder | null =>
      this.#rows.builders[this.#rows.columns.indexOf(name)] ?? null;
    this.#key = builder("key");
    this.#value = builder("value");
    this.#valueBinary = builder("value_binary");
    this.#dataType = builder("data_type");
    this.#ttl = builder("ttl");
    this.#expiresAt = builder("expires_at");
    this.#lastModified = builder("last_modified");
    this.#size = builder("size");
    this.#versionBuilder = builder(versionColumn.name);
    const wanted = configuration.key_types === undefined ? null : new Set(configuration.key_types);
    this.questions = {
      ttl: this.#ttl !== null,
      expires: configuration.expires_at,
      wants(type) {
        if (type.table !== "keys" || wanted?.has(type.dataType) === false) return false;
        if (configuration.unknown_types === "dump" || nativeTypes.includes(type)) return true;
        onSkipped(type.name);
        return false;
      },
    };
  }

  get length(): number {
    return this.#rows.length;
  }

  get bytes(): number {
    return this.#rows.bytes;
  }

  widened(): null {
    return null;
  }

  widen(_table: Table): void {}

  append(keys: KeyBatch, index: number, type: NativeType, members: Members): void {
    const writer = this.#writer;
    const expires = keys.expires[index]!;
    writer.begin(this.questions.expires ? Buffer.from(`${type.dataType} ${expires}`) : type.bytes);
    const size = this.#write(type, members);
    this.#appendKey(keys, index);
    if (writer.binary) {
      this.#value?.null();
      this.#valueBinary?.bytesOf(writer.bytes, writer.start, writer.end);
    } else {
      this.#value?.bytesOf(writer.bytes, writer.start, writer.end);
      this.#valueBinary?.null();
    }
    this.#dataType?.bytesOf(type.bytes, 0, type.bytes.length);
    const ttl = keys.ttls[index]!;
    // Rounded, and -1 for a key that never expires, as in TTL's answer. 2^31-1 stands for 68 years and more.
    this.#ttl?.int32(ttl < 0 ? ttl : Math.min(most, Math.floor((ttl + 500) / 1_000)));
    this.#appendRest(expires, size);
    writer.release();
  }

  fail(keys: KeyBatch, index: number, message: string): void {
    const writer = this.#writer;
    const text = Buffer.from(`Error: ${message}`);
    writer.begin(errorType);
    writer.text(text, 0, text.length, "base64");
    this.#appendKey(keys, index);
    this.#value?.bytesOf(writer.bytes, writer.start, writer.end);
    this.#valueBinary?.null();
    this.#dataType?.bytesOf(errorType, 0, errorType.length);
    this.#ttl?.int32(-2);
    this.#appendRest(-1, 0);
  }

  finish(): Rows {
    return this.#rows.finish();
  }

  #appendKey(keys: KeyBatch, index: number): void {
    const [start, end] = [keys.starts[index]!, keys.ends[index]!];
    if (isText(keys.bytes, start, end)) this.#key?.bytesOf(keys.bytes, start, end);
    else {
      const text = marked(keys.bytes, start, end);
      this.#key?.bytesOf(text, 0, text.length);
    }
  }

  #appendRest(expires: number, size: number): void {
    const expiresAt = expires < 0 ? null : microsecondsOf(BigInt(expires));
    if (expiresAt === null) this.#expiresAt?.null();
    else this.#expiresAt?.bigint64(expiresAt);
    this.#lastModified?.int64Number(this.#now * 1_000);
    this.#size?.int32(Math.min(most, size));
    if (this.#versionBuilder === null) return;
    this.#version.write(this.#writer.digest(), "latin1");
    this.#versionBuilder.bytesOf(this.#version, 0, 16);
  }

  /** Writes a value in its canonical form; returns its size. */
  #write(type: NativeType, members: Members): number {
    const writer = this.#writer;
    const { bytes, starts, ends } = members;
    switch (type.dataType) {
      case "hash":
      case "set": {
        const order = members.sorted();
        if (type.dataType === "hash") writer.object(members, order);
        else writer.array(members, order);
        return order.length;
      }
      case "list":
        writer.array(members, null);
        return members.length;
      case "zset":
        writer.scored(members);
        return members.length;
      case "string":
        writer.text(bytes, starts[0]!, ends[0]!, this.#binary);
        break;
      case "json":
        writer.raw(Buffer.from(canonicalJson(bytes.toString("utf8", starts[0], ends[0]))));
        break;
      default:
        if (this.#binary === "column") {
          writer.binary = true;
          writer.raw(bytes, starts[0], ends[0]);
        } else writer.raw(marked(bytes, starts[0]!, ends[0]!));
    }
    return ends[0]! - starts[0]!;
  }
}
