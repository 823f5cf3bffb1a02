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
  return ["| setting | value | default | meaning |", "|---|---|---|---|", ...rowsOf(schema)].join("\n");
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

This page lists every setting of \`headwaters.yaml\`. \`headwaters init\` writes such a file, with all settings as comments.

\`\`\`yaml
# headwaters.yaml
connections:
  shop:
    source: { type: postgresql, host: localhost, database: shop, user: reader, password: "\${POSTGRESQL_PASSWORD}" }
    destination: duckdb:warehouse.duckdb
    deletes: 6h
\`\`\`

- A connection has a name, here \`shop\`. It has a \`source\`, a \`destination\`, and settings of its own, here \`deletes\`. Source and
  destination have a \`type\` and their own settings.
- \`\${NAME}\` is the value of an environment variable. \`\${NAME:-value}\` gives a value if the variable is not set. Variables can
  also be in a file \`.env\` beside \`headwaters.yaml\` (\`NAME=value\`, in the format of \`node --env-file\`). A variable of the
  environment has priority. Keep \`.env\` out of version control.
- Any setting of a source or destination can come from a file or a command: \`{ file: path }\`,
  \`{ command: [program, argument] }\`.
- Durations have a unit: \`500ms\`, \`30s\`, \`5m\`, \`6h\`, \`1d\`. Sizes too: \`512KB\`, \`64MB\`, \`1GB\`.
- Editors complete the file and mark mistakes, if they use the schema \`headwaters.schema.json\`. Files of \`headwaters init\` name it.

## Connection

${tableOf({ properties: own })}

## Individual tables

These settings stand below \`overrides\`, under the name of the table in the source. [Selecting what to sync](selection.md) has examples.

${tableOf(override)}

## Service

These settings of [\`headwaters up\`](up.md) stand below \`service\`, beside \`connections\`. \`token\`, \`hosts\` and
\`tls\` are read at the start. Changes of other settings count at once.

${tableOf(service)}

## Temporal

These settings for [syncs on many machines](how-to/many-machines.md) stand below \`temporal\`, beside \`connections\`.

${tableOf(temporal)}

## Sources

${sectionsOf("below `source`", describedSources)}
## Destinations

\`destination: duckdb:warehouse.duckdb\` is a short form of \`{ type: duckdb, path: warehouse.duckdb }\`.

${sectionsOf("below `destination`", describedDestinations)}`;
  await expect(page).toMatchFileSnapshot("../../docs/configuration.md");
});
