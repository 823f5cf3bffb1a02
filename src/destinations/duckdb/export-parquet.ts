import { HeadwatersError } from "../../protocol/errors.ts";
import type { DestinationContext, Warehouse } from "../../protocol/destination.ts";
import { Copies, quotedSystem } from "../sql/copies.ts";
import { KeptRows } from "../sql/ledger.ts";
import { literal } from "../sql/names.ts";
import { quote } from "./dialect.ts";
import type { Session } from "./session.ts";

type Export = NonNullable<Warehouse["exportParquet"]>;

/** Exports the live rows of copies as Parquet files, in one transaction, so that all files show the same state. */
export async function* exportParquet(
  session: Session,
  context: DestinationContext,
  ...[files, { systemColumns, signal }]: Parameters<Export>
): ReturnType<Export> {
  const interrupt = (): void => session.interrupt();
  signal.addEventListener("abort", interrupt);
  try {
    await session.run("BEGIN");
    const copies = await Copies.of(session, context, await KeptRows.load(session, "copies", context.connection));
    for (const [id, file] of files) {
      signal.throwIfAborted();
      const copy = await copies.find(id);
      if (copy === null) {
        throw new HeadwatersError("DESTINATION_EMPTY", `the destination has no copy of table "${id}"`, {
          hint: "Run sync first.",
        });
      }
      const own: readonly string[] = Object.values(copy.system);
      const columns = [...copy.native]
        .filter(([name]) => systemColumns || !own.includes(name))
        // JSON is exported as text, because polars reads Parquet's JSON type as bytes.
        .map(([name, type]) => (type === "JSON" ? `CAST(${quote(name)} AS VARCHAR) AS ${quote(name)}` : quote(name)));
      const rows = await session.run(
        `COPY (SELECT ${columns.join(", ")} FROM ${copy.relation} WHERE NOT ${quotedSystem(session.dialect, copy).deleted})
          TO ${literal(file)} (FORMAT parquet, COMPRESSION zstd)`,
      );
      yield { table: id, rows };
    }
  } finally {
    signal.removeEventListener("abort", interrupt);
    await session.rollback();
  }
}
