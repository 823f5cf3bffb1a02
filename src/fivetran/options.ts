import { defaultSettings, type Settings } from "../engine/connection.ts";
import type { SourceContext } from "../protocol/source.ts";
import { HeadwatersError } from "../protocol/errors.ts";
import type { ServedSetting } from "./served-source.ts";

/** What users can set under Fivetran besides the source's own settings. */
export interface SyncOptions {
  readonly deletes: Settings["deletes"];
  /** The least number of rows between two checkpoints. */
  readonly checkpointRows: number;
  readonly types: SourceContext["types"];
  /** The delete limit: the fraction of a table's rows that one sync may delete, 0–1. */
  readonly maxDeleteFraction: number;
}

const day = 24 * 60 * 60 * 1_000;

const deletes: Readonly<Record<string, Settings["deletes"]>> = {
  auto: "auto",
  each_sync: "each_sync",
  daily: day,
  weekly: 7 * day,
  never: "never",
};

/** As in the published example of each source; 1000 for all others. */
const checkpointRows: Readonly<Record<string, number>> = { rethinkdb: 100 };

const types: Readonly<Record<string, SourceContext["types"]>> = { exact: "exact", example: "example" };

/** The settings that every connector has after those of its source. */
export function optionSettings(source: string): readonly ServedSetting[] {
  const plain = { required: false, secret: false, file: false, type: "string" };
  return [
    {
      ...plain,
      name: "deletes",
      title: "Look for deletes",
      description:
        "auto: in each sync for tables that are small enough for digests of their rows in the state, once a week for others, which until then miss rows whose cursor is NULL or was set back too; each_sync, daily, weekly; never. To look for deletes, the whole table is read; for large tables every row is also written again.",
      choices: Object.keys(deletes),
      default: "auto",
    },
    {
      ...plain,
      name: "checkpoint_interval",
      title: "Checkpoint interval",
      description:
        "The least number of rows between two checkpoints. They are also a second apart, unless the state is small beside the rows.",
      type: "integer",
      choices: null,
      default: checkpointRows[source] ?? 1_000,
    },
    {
      ...plain,
      name: "types",
      title: "Types",
      description:
        "exact: types that hold every value; example: the types of the published connector example, for tables that it created.",
      choices: Object.keys(types),
      default: "exact",
    },
    {
      ...plain,
      name: "max_delete_fraction",
      title: "Delete limit",
      description:
        "The fraction of a table's rows, from 0 to 1, that one sync may delete; if more are gone, the table stops. Raise it if most rows may expire between two syncs, as in a cache.",
      type: "number",
      choices: null,
      default: defaultSettings.maxDeleteFraction,
    },
  ];
}

/** Separates these settings from those of the source. Throws `CONFIGURATION_INVALID`. */
export function takeOptions(
  source: string,
  given: Readonly<Record<string, string>>,
): { readonly options: SyncOptions; readonly rest: Readonly<Record<string, string>> } {
  const {
    deletes: when = "auto",
    checkpoint_interval: interval,
    types: kind = "exact",
    max_delete_fraction: most = String(defaultSettings.maxDeleteFraction),
    ...rest
  } = given;
  const rows = interval === undefined ? (checkpointRows[source] ?? 1_000) : Number(interval);
  if (!Number.isSafeInteger(rows) || rows < 1)
    throw wrong("checkpoint_interval", "a whole number from 1 on", interval!);
  const fraction = Number(most);
  if (most.trim() === "" || !(fraction >= 0 && fraction <= 1))
    throw wrong("max_delete_fraction", "a number from 0 to 1", most);
  return {
    options: {
      deletes: of(deletes, "deletes", when),
      checkpointRows: rows,
      types: of(types, "types", kind),
      maxDeleteFraction: fraction,
    },
    rest,
  };
}

function of<Value>(table: Readonly<Record<string, Value>>, name: string, given: string): Value {
  if (!Object.hasOwn(table, given)) throw wrong(name, `one of ${Object.keys(table).join(", ")}`, given);
  return table[given]!;
}

function wrong(name: string, must: string, given: string): HeadwatersError {
  return new HeadwatersError("CONFIGURATION_INVALID", `${name} must be ${must}, not ${JSON.stringify(given)}`);
}
