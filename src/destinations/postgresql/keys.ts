import type { KeyColumn } from "../sql/stage.ts";
import { anyValue, comparable } from "./types.ts";

/**
 * What stands for a key column in an index, and finds the rows whose keys may be equal: never NULL, and never long.
 * PostgreSQL can neither look up nor join by `IS NOT DISTINCT FROM`, and its trees hold no value of more than a third
 * of a page.
 */
export function keyProbe(expression: string, { type, nullable }: KeyColumn): string {
  const value = nullable ? `coalesce(${expression}, ${anyValue(type)})` : expression;
  if (type.kind === "STRING" || type.kind === "XML") return `hashtextextended(${value}, 0)`;
  if (type.kind === "BINARY") return `hashtextextended(encode(${value}, 'base64'), 0)`;
  return comparable(value, type);
}

/**
 * `s` and `t` have the same key. Beside what decides it stands what finds it: a probe, where the copy has an index of
 * probes, or where a key may be NULL.
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
