import type { KeyColumn } from "../sql/stage.ts";
import { anyValue, comparable } from "./types.ts";

/**
 * The probe of a key column: an expression for an index that finds rows whose keys may be equal. It is never NULL and
 * never long. PostgreSQL can neither look up nor join by `IS NOT DISTINCT FROM`, and a B-tree can't store values of
 * more than a third of a page.
 */
export function keyProbe(expression: string, { type, nullable }: KeyColumn): string {
  const value = nullable ? `coalesce(${expression}, ${anyValue(type)})` : expression;
  if (type.kind === "STRING" || type.kind === "XML") return `hashtextextended(${value}, 0)`;
  if (type.kind === "BINARY") return `hashtextextended(encode(${value}, 'base64'), 0)`;
  return comparable(value, type);
}

/**
 * The condition that `s` and `t` have the same key. If the copy has an index of probes or a key may be NULL, the
 * condition also compares the probes, by which PostgreSQL finds the rows.
 */
export function sameKey(
  keys: readonly KeyColumn[],
  s: string,
  t: string,
  probed: boolean,
  column: "stage" | "copy" = "copy",
): string {
  return keys
    .flatMap((key) => {
      const [a, b] = [`${s}.${key.stage}`, `${t}.${key[column]}`];
      const equal = key.nullable ? "IS NOT DISTINCT FROM" : "=";
      const same = `${comparable(a, key.type)} ${equal} ${comparable(b, key.type)}`;
      return probed || key.nullable ? [`${keyProbe(a, key)} = ${keyProbe(b, key)}`, same] : [same];
    })
    .join(" AND ");
}
