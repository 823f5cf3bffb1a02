import type { TableSettings } from "../../engine/connection.ts";
import type { Json } from "../../protocol/json.ts";
import type { FilterLanguage, SourceDefinition, TableOptions } from "../../protocol/source.ts";
import type { ConnectionEntry, Override } from "./connection-schema.ts";
import type { Problem } from "./problems.ts";

/** The settings of one table for its source. */
export function tableOptions({ cursor, mode, types, filter, columns }: Override): TableOptions {
  return {
    ...(mode === "full" ? { cursor: null } : cursor === undefined ? {} : { cursor }),
    types,
    ...(filter === undefined ? {} : { filter: filter as Json }),
    ...(columns === undefined ? {} : { columns: listed(columns) }),
  };
}

/** The settings of one table for the engine. */
export function tableSettings(override: Override): TableSettings {
  const { mode, filter, columns, rename, deletes, reread, maxDeleteFraction, schemaChanges } = override;
  const selects = columns !== undefined && columns.include.length + columns.exclude.length > 0;
  return {
    ...(mode === undefined ? {} : { mode }),
    ...(filter === undefined ? {} : { filter: filter as Json }),
    ...(selects ? { columns: listed(columns) } : {}),
    ...(columns === undefined || Object.keys(columns.rename).length === 0 ? {} : { renameColumns: columns.rename }),
    ...(rename === undefined ? {} : { rename }),
    settings: {
      ...(deletes === undefined ? {} : { deletes }),
      ...(reread === undefined ? {} : { reread }),
      ...(maxDeleteFraction === undefined ? {} : { maxDeleteFraction }),
      ...(schemaChanges === undefined ? {} : { schemaChanges }),
    },
  };
}

function listed({ include, exclude }: NonNullable<Override["columns"]>): NonNullable<TableOptions["columns"]> {
  return { include, exclude };
}

const languages: Readonly<Record<FilterLanguage, readonly [type: "string" | "object", form: string]>> = {
  sql: ["string", 'an SQL condition as text: "temperature > 0"'],
  cql: ["string", `CQL restrictions as text: "status = 'active' AND temperature > 0"`],
  fields: ["object", "a mapping of fields: { status: active, temperature: { gt: 0 } }"],
};

/** Problems with settings for individual tables: they contradict each other, or the source does not support them. */
export function overrideProblems(
  { overrides }: ConnectionEntry,
  { title, capabilities }: Pick<SourceDefinition, "title" | "capabilities">,
): readonly Problem[] {
  return Object.entries(overrides).flatMap(([table, { mode, cursor, filter }]): Problem[] => {
    const problems: Problem[] = [];
    const at = (name: string): readonly string[] => ["overrides", table, name];
    if (mode === "full" && typeof cursor === "string") {
      const remedy = "Leave one of the two out: a table that is read whole needs no cursor.";
      problems.push({ path: at("cursor"), message: "can't be used with mode full", remedy });
    }
    if (filter === undefined) return problems;
    if (capabilities.filter === undefined) {
      const remedy = "Leave it out, or select rows by the settings of the source.";
      problems.push({ path: at("filter"), message: `can't be set: ${title} has no filter of rows`, remedy });
    } else {
      const [type, form] = languages[capabilities.filter];
      if (typeof filter !== type) problems.push({ path: at("filter"), message: `must be ${form}`, remedy: "" });
    }
    return problems;
  });
}
