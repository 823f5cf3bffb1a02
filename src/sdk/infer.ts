import type { Type } from "../protocol/types.ts";
import { sameType, widen } from "../toolkit/types.ts";
import type { Cell } from "../toolkit/vectors.ts";
import { cellOf, json, Misfit, string } from "./values.ts";

/** A value of a column that is not declared, with the narrowest type that holds it. */
export interface Inferred {
  readonly type: Type;
  readonly cell: Cell;
}

const boolean: Type = { kind: "BOOLEAN" };
const int: Type = { kind: "INT" };
const long: Type = { kind: "LONG" };
const double: Type = { kind: "DOUBLE" };
const widest: Type = { kind: "DECIMAL", precision: 38, scale: 0 };
const moment: Type = { kind: "UTC_DATETIME" };
const binary: Type = { kind: "BINARY" };
const text: Type = { kind: "STRING" };
const structure: Type = { kind: "JSON" };

/**
 * The rules of inference: a whole number is INT, or LONG if it needs more than 32 bits; any other number is DOUBLE; a
 * bigint is LONG, or DECIMAL(38,0) if it needs more than 64 bits; text is STRING, whatever it looks like; a Date is
 * UTC_DATETIME; bytes are BINARY; objects and arrays are JSON.
 */
export function infer(value: unknown): Inferred | Misfit {
  switch (typeof value) {
    case "boolean":
      return { type: boolean, cell: value };
    case "number": {
      if (!Number.isInteger(value)) return { type: double, cell: value };
      const small = value === (value | 0);
      const cell = cellOf(value, small ? int : long);
      return cell instanceof Misfit ? cell : { type: small ? int : long, cell };
    }
    case "bigint": {
      const type = BigInt.asIntN(64, value) === value ? long : widest;
      const cell = cellOf(value, type);
      return cell instanceof Misfit ? cell : { type, cell };
    }
    case "string":
      return typed(text, string(value, text));
    case "object":
      if (value instanceof Date) return typed(moment, cellOf(value, moment));
      return value instanceof Uint8Array ? { type: binary, cell: value } : typed(structure, json(value));
    default:
      return new Misfit("can't be stored", "Give text, a number, a Date, bytes or what JSON.stringify takes.");
  }
}

function typed(type: Type, cell: Cell | Misfit): Inferred | Misfit {
  return cell instanceof Misfit ? cell : { type, cell };
}

/** The type that a column of `type` needs to hold the value too. */
export function widened(type: Type, { type: own, cell }: Inferred): Type {
  // Every whole number that a JavaScript number holds exactly, DOUBLE holds exactly.
  if (type.kind === "DOUBLE" && typeof cell === "number" && own.kind !== "UTC_DATETIME") return type;
  return sameType(type, own) ? type : widen(type, own);
}

/** The value in a column of `type`, which is as wide as its own type or wider. */
export function fitted({ type: own, cell }: Inferred, type: Type): Cell | Misfit {
  if (type.kind !== "STRING" || own.kind === "STRING") return type.kind === "DOUBLE" ? Number(cell) : cell;
  if (own.kind === "BINARY") return new Misfit("has bytes as well as other values", "Declare it BINARY or STRING.");
  return own.kind === "UTC_DATETIME" ? new Date(Number(cell) / 1_000).toISOString() : String(cell);
}
