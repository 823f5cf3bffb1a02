import type { CatalogHeap } from "../catalog/catalog.ts";
import type { Shape } from "../catalog/shape.ts";
import type { OutputPlugin } from "../config.ts";
import type { Server } from "../server.ts";

/**
 * Why the changes of a table can't be read from the log, as the end of a sentence; `null`: they can. Publishing such a
 * table could also make its UPDATE and DELETE fail.
 */
export function whyNotFollowed(
  shape: Shape,
  { versionNumber, yugabyte }: Pick<Server, "versionNumber" | "yugabyte">,
  plugin: OutputPlugin,
): string | null {
  const { catalog, key, keyIsIndex } = shape;
  if (key.length === 0) return "it has no key";
  if (yugabyte && catalog.partitioned) return "partitioned tables of YugabyteDB are not followed";
  if (catalog.partitioned && versionNumber < 130000) return "partitioned tables can be published from PostgreSQL 13 on";
  if (catalog.heaps.some(({ kind }) => kind !== "r")) return "a partition of it is a foreign table";
  if (catalog.heaps.some(({ logged }) => !logged)) return "it is unlogged";
  if (plugin === "pgoutput" && catalog.heaps.some(({ replicaIdentity }) => replicaIdentity === "c"))
    return "the plugin pgoutput does not know its replica identity CHANGE";
  const holdsKey = ({ replicaIdentity }: CatalogHeap): boolean => {
    if (replicaIdentity === "f") return true;
    // CHANGE is YugabyteDB's own, and its default: the primary key, and the columns that changed.
    if (replicaIdentity === "d" || replicaIdentity === "c") return !keyIsIndex;
    const index = catalog.indexes.find(({ replica }) => replica);
    return replicaIdentity === "i" && !catalog.partitioned && key.every((name) => index?.columns.includes(name));
  };
  return catalog.heaps.every(holdsKey) ? null : "its replica identity does not hold the key";
}
