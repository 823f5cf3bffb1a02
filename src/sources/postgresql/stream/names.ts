import { createHash } from "node:crypto";
import type { Configuration, OutputPlugin } from "../config.ts";
import type { Server } from "../server.ts";

/** The names of the slot and the publication that a stream keeps at the source. */
export interface StreamNames {
  readonly slot: string;
  readonly publication: string;
}

export function streamNames({ slot, publication, database, schema }: Configuration): StreamNames {
  const name = slot ?? defaultSlot(`${database}_${schema}`);
  return { slot: name, publication: publication ?? name };
}

/** Slots have short names, unique on the server. If characters are replaced or cut off, a digest keeps names apart. */
function defaultSlot(place: string): string {
  const plain = place.toLowerCase().replace(/[^a-z0-9_]/g, "_");
  const digest = createHash("sha256").update(place).digest("hex").slice(0, 8);
  return plain === place && place.length <= 52 ? `headwaters_${place}` : `headwaters_${plain.slice(0, 43)}_${digest}`;
}

/** The plugin that the slot is made with. */
export function pluginOf({ plugin }: Configuration, { yugabyte }: Pick<Server, "yugabyte">): OutputPlugin {
  return yugabyte ? (plugin ?? "yboutput") : "pgoutput";
}
