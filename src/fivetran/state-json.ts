import { z } from "zod";
import { parseStateDocument, portable, stateJson, type StateDocument } from "../engine/state-document.ts";
import { HeadwatersError } from "../protocol/errors.ts";
import type { SourceDefinition } from "../protocol/source.ts";
import type { StoredDigests } from "./row-digests.ts";

/** What is stored of a table besides its state. */
export interface TableNote {
  /** Rows of the last whole pass. */
  readonly rows: number;
  /** It has too many keys for row digests. */
  readonly tooMany: boolean;
  /** The row digests, under the name that they have in states; `null`: none, or not certain. */
  readonly memory: StoredDigests | null;
}

/** All that Fivetran stores of a connection. */
export interface FivetranState {
  readonly document: StateDocument;
  /** By table id. */
  readonly notes: ReadonlyMap<string, TableNote>;
  /** Open passes whose table was truncated already. */
  readonly truncated: readonly string[];
  /** As in `FormSelection`. */
  readonly columns: Readonly<Record<string, string>>;
}

/**
 * By default a gRPC client accepts messages of up to 4 MiB, and a checkpoint carries the whole state. A larger state is an
 * error …
 */
const mostStateBytes = 4_000_000;
/** … and a state larger than this a warning. */
export const manyStateBytes = 3_000_000;

const digests = z.object({ signature: z.string(), keys: z.base64(), digests: z.base64() });

/** What Fivetran's state has besides the common document; exported states don't have it. */
const own = z.object({
  fivetran: z
    .object({
      tables: z.record(
        z.string(),
        z.object({ rows: z.int().min(0), tooMany: z.boolean(), memory: digests.nullable() }),
      ),
      truncated: z.array(z.string()),
      columns: z.record(z.string(), z.string()),
    })
    .optional(),
});

/**
 * Parses `state_json`: empty before the first sync, the text of {@link stateText}, or that of `headwaters state export`.
 * Throws `STATE_INVALID`.
 */
export function parseState(text: string, source: Pick<SourceDefinition, "name" | "kin">): FivetranState {
  const value = parsed(text);
  const isMapping = typeof value === "object" && value !== null && !Array.isArray(value);
  const isEmpty = isMapping && Object.keys(value).length === 0;
  if (isEmpty) {
    const document: StateDocument = { version: 1, source: source.name, tables: {}, passes: [], progress: [] };
    return { document, ...nothing };
  }
  const document = parseStateDocument(value, source, resync);
  const { data, error } = own.safeParse(value);
  if (error !== undefined) {
    const where = error.issues[0]?.path.join(".") ?? "fivetran";
    throw new HeadwatersError("STATE_INVALID", `the state is damaged at ${where}`, { hint: resync });
  }
  // An exported state: rows that an open pass set aside elsewhere are not here.
  if (data?.fivetran === undefined) return { document: portable(document), ...nothing };
  const { tables, truncated, columns } = data.fivetran;
  return { document, notes: new Map(Object.entries(tables)), truncated, columns };
}

/** What to do if a state can't be read. For states that are too large or too new there are other hints. */
const resync = "Re-sync the connection in Fivetran: then every table is read fully.";

/** For states that are not from Fivetran. */
const nothing = { notes: new Map<string, TableNote>(), truncated: [], columns: {} };

function parsed(text: string): unknown {
  try {
    return text.trim() === "" ? {} : JSON.parse(text);
  } catch {
    // Ignored here: parseStateDocument reports what is wrong.
    return text;
  }
}

/** The text of a state. Throws `STATE_INVALID` if it is too large. */
export function stateText({ document, notes, truncated, columns }: FivetranState): string {
  const text = JSON.stringify({
    ...stateJson(document),
    fivetran: { tables: Object.fromEntries(notes), truncated, columns },
  });
  const bytes = Buffer.byteLength(text);
  if (bytes <= mostStateBytes) return text;
  throw new HeadwatersError(
    "STATE_INVALID",
    `the state of this connection has ${bytes} bytes, more than the ${mostStateBytes} that a checkpoint can carry`,
    { hint: "Divide the tables among several connections." },
  );
}
