import { nativeCode } from "../../../net/errors.ts";
import { HeadwatersError } from "../../../protocol/errors.ts";
import type { PostgresConnection } from "../../../wire/postgres/connection.ts";
import { relationOf } from "../catalog/catalog.ts";
import type { Shape } from "../catalog/shape.ts";
import { invalidFilter } from "../filter.ts";

/**
 * Has the server parse the filter, without reading a row. The only purpose of the bound value is to use the extended
 * protocol, which takes just one statement.
 */
export async function checkFilter(connection: PostgresConnection, shape: Shape, signal: AbortSignal): Promise<void> {
  const { catalog, filter } = shape;
  if (filter === null) return;
  try {
    await connection.query(
      `SELECT 1 FROM ${relationOf(shape, null)} WHERE ${filter} AND $1::bool LIMIT 0`,
      ["true"],
      signal,
      catalog,
    );
  } catch (thrown) {
    const code = thrown instanceof HeadwatersError ? nativeCode(thrown.cause) : null;
    if (code === null || !isMistake(code)) throw thrown;
    throw invalidFilter(catalog.name, `is refused by the server: ${serverMessage(thrown)}`, thrown);
  }
}

/** Classes of SQLSTATE that mean the text is wrong: syntax and names, values, unsupported features. */
function isMistake(code: string): boolean {
  return /^(42|22|0A)/.test(code) && code !== "42501" && code !== "42P01";
}

function serverMessage(thrown: unknown): string {
  const { cause } = thrown as HeadwatersError;
  return cause instanceof Error ? cause.message : String(cause);
}
