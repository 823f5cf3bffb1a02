import { isUtf8 } from "node:buffer";

/**
 * Keys, fields, members and values are bytes. Bytes that are text stay as they are. Other bytes (invalid UTF-8, or with
 * a NUL, which some destinations can't keep) become base64 after this mark. Text that begins with the mark becomes
 * base64 too, so that the bytes can always be restored.
 */
const mark = Buffer.from("base64:");

/** Whether bytes are kept as they are. */
export function isText(bytes: Buffer, start: number, end: number): boolean {
  let ascii = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === 0) return false;
    ascii |= byte;
  }
  if (ascii > 0x7f && !isUtf8(bytes.subarray(start, end))) return false;
  return bytes[start] !== mark[0] || !startsWithMark(bytes, start, end);
}

function startsWithMark(bytes: Buffer, start: number, end: number): boolean {
  return end - start >= mark.length && bytes.compare(mark, 0, mark.length, start, start + mark.length) === 0;
}

/** Bytes that are not text, as base64 after the mark. */
export function marked(bytes: Buffer, start: number, end: number): Buffer {
  return Buffer.from(`base64:${bytes.toString("base64", start, end)}`);
}

/** The text that represents bytes. */
export function textOf(bytes: Buffer): string {
  return isText(bytes, 0, bytes.length) ? bytes.toString() : marked(bytes, 0, bytes.length).toString();
}

/** The bytes that a text represents. */
export function bytesOf(text: Uint8Array): Buffer {
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  if (!startsWithMark(bytes, 0, bytes.length)) return bytes;
  return Buffer.from(bytes.toString("latin1", mark.length), "base64");
}
