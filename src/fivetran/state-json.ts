import { z } from "zod";
import { parseStateDocument, portable, stateJson, type StateDocument } from "../engine/state-document.ts";
import { HeadwatersError } from "../protocol/errors.ts";
import type { SourceDefinition } from "../protocol/source.ts";
import type { StoredDigests } from "./row-digests.ts";

/** What is kept of a table beside its state. */
export interface TableNote {
  /** Rows of the last whole pass. */
  readonly rows: number;
  /** Its keys are too many to be remembered. */
  readonly tooMany: boolean;
  /** `null`: not known, or not known for sure. */
  readonly memory: StoredDigests | null;
}

/** All that Fivetran keeps of a connection. */
export interface FivetranState {
  readonly document: StateDocument;
  /** By table id. */
  readonly notes: ReadonlyMap<string, TableNote>;
  /** Open passes for which their table was truncated already. */
  readonly truncated: readonly string[];
  /** As `Chosen.columns` said. */
  readonly columns: Readonly<Record<string, string>>;
}

/**
 * A gRPC client takes messages of up to 4 MiB unless it was told otherwise, and a checkpoint carries the whole state: a
 * state that is larger is refused …
 */
const mostStateBytes = 4_000_000;
/** … and one that is larger than this is warned of. */
export const manyStateBytes = 3_000_000;

const remembered = z.object({ signature: z.string(), keys: z.base64(), digests: z.base64() });

/** What Fivetran's state has beside the common document; a state of another way of running has it not. */
const own = z.object({
  fivetran: z
    .object({
      tables: z.record(
        z.string(),
        z.object({ rows: z.int().min(0), tooMany: z.boolean(), memory: remembered.nullable() }),
      ),
      truncated: z.array(z.string()),
      columns: z.record(z.string(), z.string()),
    })
    .optional(),
});

/**
 * Reads `state_json`: empty where nothing was synced yet, what {@link stateText} gave, or what `headwaters state export`
 * gave. Throws `STATE_INVALID`.
 */
export function parseState(text: string, source: Pick<SourceDefinition, "name" | "kin">): FivetranState {
  const value = parsed(text);
  const isEmpty = typeof value === "object" && value !== null && Object.keys(value).length === 0;
  if (isEmpty) {
    const document: StateDocument = { version: 1, source: source.name, tables: {}, passes: [], progress: [] };
    return { document, ...nothing };
  }
  const document = parseStateDocument(value, source, resync);
  const { data } = own.safeParse(value);
  // Rows that an open pass has set aside elsewhere are not here.
  if (data?.fivetran === undefined) return { document: portable(document), ...nothing };
  const { tables, truncated, columns } = data.fivetran;
  return { document, notes: new Map(Object.entries(tables)), truncated, columns };
}

/** What to do with a state that can't be read; of one that is too large or too new other things help. */
const resync = "Re-sync the connection in Fivetran: every table is then read fully.";

/** Of a state that Fivetran did not keep. */
const nothing = { notes: new Map<string, TableNote>(), truncated: [], columns: {} };

function parsed(text: string): unknown {
  try {
    return text.trim() === "" ? {} : JSON.parse(text);
  } catch {
    // The document's own check says what is wrong.
    return text;
  }
}

/** Throws `STATE_INVALID` where it is too large. */
export function stateText({ document, notes, truncated, columns }: FivetranState): string {
  const text = JSON.stringify({
    ...stateJson(document),
    fivetran: { tables: Object.fromEntries(notes), truncated, columns },
  });
  const bytes = Buffer.byteLength(text);
  if (bytes <= mostStateBytes) return text;
  throw new HeadwatersError(
    "STATE_INVALID",
    `the state of this connection takes ${bytes} bytes, more than the ${mostStateBytes} that a checkpoint can carry`,
    { hint: "Share the tables out among several connections." },
  );
}
