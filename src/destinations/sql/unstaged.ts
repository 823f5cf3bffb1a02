import type { Rows } from "../../protocol/rows.ts";
import { reservedBytes, sameShape } from "../../toolkit/vectors.ts";

/** The most rows and bytes that stay in memory. */
const mostInMemory = { rows: 10_000, bytes: 1 << 20 };

/**
 * The rows of a stage that does not exist yet. What was read of a small table is compared with its copy from memory:
 * creating and dropping a stage would take most of the time. (Measured, a sweep of 100 rows into DuckDB: five statements
 * become two.)
 */
export class Unstaged {
  /** They have one shape. */
  readonly batches: Rows[] = [];
  #rows = 0;
  #bytes = 0;

  /** Takes rows, unless the stage has to be created for them. */
  take(rows: Rows): boolean {
    const count = this.#rows + rows.length;
    const bytes = this.#bytes + reservedBytes(rows);
    if (count > mostInMemory.rows || bytes > mostInMemory.bytes) return false;
    if (this.batches.length > 0 && !sameShape(this.batches[0]!, rows)) return false;
    this.#rows = count;
    this.#bytes = bytes;
    this.batches.push(rows);
    return true;
  }
}
