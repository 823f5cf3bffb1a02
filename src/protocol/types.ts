/**
 * The types of columns: those of Fivetran's connector protocol, so that every destination can store each of them, and
 * UUID, which a destination without such a type stores as STRING. Sources use no others; a value that fits none is
 * STRING (text) or JSON (structure).
 */
export type Type = { readonly kind: Exclude<Kind, "DECIMAL"> } | DecimalType;

/** An exact number of up to `precision` digits (1–38), `scale` of them (0–`precision`) after the point. */
export interface DecimalType {
  readonly kind: "DECIMAL";
  readonly precision: number;
  readonly scale: number;
}

export type Kind =
  | "BOOLEAN"
  | "SHORT"
  | "INT"
  | "LONG"
  | "DECIMAL"
  | "FLOAT"
  | "DOUBLE"
  | "NAIVE_DATE"
  | "NAIVE_TIME"
  | "NAIVE_DATETIME"
  | "UTC_DATETIME"
  | "BINARY"
  | "UUID"
  | "XML"
  | "STRING"
  | "JSON";
