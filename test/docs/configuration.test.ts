import { expect, test } from "vitest";
import {
  connection,
  type Described,
  describedDestinations,
  describedSources,
  type Schema,
  service,
  temporal,
} from "./schemas.ts";

/** What a value may be, in a few words. */
function typeOf({ type, enum: values, anyOf, items, minimum, maximum }: Schema): string {
  if (values !== undefined) return values.map((value) => `\`${String(value)}\``).join(", ");
  if (anyOf !== undefined) return [...new Set(anyOf.map(typeOf))].join(" or ");
  if (Array.isArray(type))
    return type
      .filter((name) => name !== "null")
      .map(word)
      .join(" or ");
  if (type === "array") return items === undefined ? "list" : `list of ${typeOf(items)}`;
  if ((type === "integer" || type === "number") && minimum !== undefined && maximum !== undefined)
    return `${word(type)}, ${minimum} to ${maximum}`;
  return word(type as string | undefined);
}

function word(type: string | undefined): string {
  const words: Readonly<Record<string, string>> = {
    string: "text",
    integer: "whole number",
    number: "number",
    boolean: "`true` or `false`",
    object: "mapping",
    null: "`null`",
  };
  return words[type ?? ""] ?? "any";
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "") return true;
  return typeof value === "object" && Object.values(value).every(isEmpty);
}

function defaultOf({ default: value }: Schema, required: boolean): string {
  if (required) return "**required**";
  return isEmpty(value) ? "" : `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
}

/** The settings of a mapping, those of mappings in it under their names: `columns.include`. */
function rowsOf({ properties = {}, required = [] }: Schema, prefix = ""): string[] {
  return Object.entries(properties).flatMap(([name, setting]) => {
    const secret = setting["secret"] === true ? " A secret." : "";
    const meaning = `${setting.description ?? ""}${secret}`.replaceAll("|", "\\|").replaceAll("<", "&lt;");
    const own = `| \`${prefix}${name}\` | ${typeOf(setting)} | ${defaultOf(setting, required.includes(name))} | ${meaning} |`;
    const { additionalProperties: named } = setting;
    // What single tables can have has a section of its own.
    const each = typeof named === "object" && name !== "overrides" ? rowsOf(named, `${prefix}${name}.<name>.`) : [];
    return [own, ...rowsOf(setting, `${prefix}${name}.`), ...each];
  });
}

function tableOf(schema: Schema): string {
  return ["| setting | what | default | meaning |", "|---|---|---|---|", ...rowsOf(schema)].join("\n");
}

/** A section for each connector; those that have the same settings share one. */
function sectionsOf(what: string, all: readonly Described[]): string {
  const byTable = new Map<string, Described[]>();
  for (const one of all) byTable.set(tableOf(one.schema), [...(byTable.get(tableOf(one.schema)) ?? []), one]);
  return [...byTable]
    .map(([table, same]) => {
      const types = same.flatMap(({ name, aliases }) => [name, ...aliases]).map((type) => `\`type: ${type}\``);
      const titles = same.map(({ title }) => title).join(", ");
      return `### ${titles}\n\n${types.join(", ")} ${what}.\n\n${table}\n`;
    })
    .join("\n");
}

/** `npx vitest run test/docs -u` writes the page anew. */
test("the page of settings is that of the code", async () => {
  const { source: _s, destination: _d, ...own } = connection.properties!;
  const override = connection.properties!["overrides"]!.additionalProperties as Schema;
  const page = `# Configuration

\`headwaters.yaml\` holds connections, each below its name under \`connections:\`. A connection has a \`source\` and a
\`destination\`, each with its \`type\` and its own settings, and settings of its own. \`headwaters init\` writes a file with
all of them, and names the schema by which editors complete it and mark mistakes (\`headwaters.schema.json\`).

\`\${NAME}\` stands for an environment variable, \`\${NAME:-value}\` falls back to a value. Variables may also stand in a file
\`.env\` beside \`headwaters.yaml\` (\`NAME=value\`, as \`node --env-file\` reads it); one that the environment has already counts
instead. Keep \`.env\` out of version control.

Each setting of a source or a
destination may also come from a file or from a command: \`{ file: path }\`, \`{ command: [program, argument] }\`. Durations
have their unit (\`500ms\`, \`30s\`, \`5m\`, \`6h\`, \`1d\`), and so have sizes (\`512KB\`, \`64MB\`, \`1GB\`).

## Connection

${tableOf({ properties: own })}

## Single tables

Below \`overrides\`, by the name of the table in the source. [Selecting what to sync](selection.md) has examples.

${tableOf(override)}

## Service

Below \`service\`, beside \`connections\`: how [\`headwaters up\`](up.md) works. Host, port, token and certificate count when it
starts, all else as soon as the file is changed.

${tableOf(service)}

## Temporal

Below \`temporal\`, beside \`connections\`: where [syncs of many machines](how-to/many-machines.md) are driven from.

${tableOf(temporal)}

## Sources

${sectionsOf("below `source`", describedSources)}
## Destinations

\`destination: duckdb:warehouse.duckdb\` is short for \`{ type: duckdb, path: warehouse.duckdb }\`.

${sectionsOf("below `destination`", describedDestinations)}`;
  await expect(page).toMatchFileSnapshot("../../docs/configuration.md");
});
