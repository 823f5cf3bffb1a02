import { nativeCode } from "../../../net/errors.ts";
import { HeadwatersError } from "../../../protocol/errors.ts";
import type { PostgresConnection } from "../../../wire/postgres/connection.ts";
import { relationOf } from "../catalog/catalog.ts";
import type { Shape } from "../catalog/shape.ts";
import { invalidFilter } from "../filter.ts";

/**
 * Lets the server look at the filter, without reading a row. A value is bound only so that the statement is sent by the
 * protocol that takes one statement and no more.
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
    throw invalidFilter(catalog.name, `is not taken by the server: ${serverMessage(thrown)}`, thrown);
  }
}

/** Classes of SQLSTATE that tell of the text itself: syntax and names, values, what is not supported there. */
function isMistake(code: string): boolean {
  return /^(42|22|0A)/.test(code) && code !== "42501" && code !== "42P01";
}

function serverMessage(thrown: unknown): string {
  const { cause } = thrown as HeadwatersError;
  return cause instanceof Error ? cause.message : String(cause);
}
