import assert from "node:assert/strict";
import { isUtf8 } from "node:buffer";
import type { Rows, Vector } from "../protocol/rows.ts";
import { byteWidth } from "../toolkit/types.ts";
import { isValid } from "../toolkit/vectors.ts";

/** Asserts that a batch has the layout that `protocol/rows.ts` describes. */
export function assertWellFormed(rows: Rows): void {
  assert.equal(rows.values.length, rows.columns.length, "one vector a column");
  assert.equal(new Set(rows.columns).size, rows.columns.length, "column names are unique");
  assert.ok(rows.length > 0, "a batch has rows");
  rows.values.forEach((vector, index) => assertVector(vector, rows.length, rows.columns[index]!));
}

function assertVector(vector: Vector, length: number, name: string): void {
  const { type, validity, values, offsets } = vector;
  const width = byteWidth(type);
  assert.equal(values.byteOffset % 8, 0, `${name}: values are aligned`);
  if (validity !== null) assert.ok(validity.byteLength * 8 >= length, `${name}: a validity bit for each row`);
  if (width !== null) {
    const bytes = width === 0 ? (length + 7) >> 3 : length * width;
    assert.ok(values.byteLength >= bytes, `${name}: a value for each row`);
    assert.equal(offsets, null, `${name}: fixed width has no offsets`);
    return;
  }
  assert.ok(offsets !== null && offsets.length >= length + 1, `${name}: an offset for each row and the end`);
  assert.equal(offsets[0], 0, `${name}: offsets start at 0`);
  for (let row = 0; row < length; row++) {
    const start: number = offsets[row]!;
    const end: number = offsets[row + 1]!;
    assert.ok(start <= end && end <= values.byteLength, `${name}: offsets rise and stay inside`);
    if (!isValid(vector, row)) assert.equal(start, end, `${name}: a null has no bytes`);
    else if (type.kind !== "BINARY") assert.ok(isUtf8(values.subarray(start, end)), `${name}: text is UTF-8`);
  }
}
