import { stringify } from "yaml";
import type { SourceDefinition } from "../../protocol/source.ts";
import { connectionSchema } from "./connection-schema.ts";
import { type Setting, settingsOf } from "./settings.ts";

/** The environment variable for a setting in a sample file: `YUGABYTEDB_PASSWORD`. */
export function variableOf(source: string, setting: string): string {
  return `${source}_${setting}`.toUpperCase().replace(/[^A-Z0-9]+/g, "_");
}

/** Longer comments are wrapped. */
const lineWidth = 110;

/** Text as it stands in a file of connections: `${` is doubled, so that it is taken literally. */
export function literal(text: string): string {
  return text.replaceAll("${", () => "$${");
}

/** A side of a connection, with its settings as they stand in the file. */
interface SampleSide {
  readonly definition: Pick<SourceDefinition, "name" | "configuration">;
  readonly values: Readonly<Record<string, string>>;
}

/**
 * A file with one connection and all settings. Those of the sides that have a value are set; the others are comments with
 * their defaults. `tables`: names or patterns; empty: all. `schema`: the address of the file's JSON Schema, for editors.
 */
export function sampleFile(
  name: string,
  source: SampleSide,
  destination: SampleSide,
  tables: readonly string[],
  schema: string,
): string {
  const set = (setting: string, value: unknown): string => `${setting}: ${scalar(value)}`;
  const { definition, values } = source;
  const others = settingsOf(connectionSchema).filter((setting) => !["source", "destination"].includes(setting.name));
  return [
    `# yaml-language-server: $schema=${schema}`,
    "# The connections of Headwaters: what is copied, from where, and to where.",
    "#   headwaters check     tests them",
    "#   headwaters sync      brings the copies up to date",
    "#   headwaters verify    compares source and copy",
    "# ${NAME} is an environment variable. ${NAME:-value} gives a value if it is not set. A secret can also come from",
    "# a file or from a command: { file: path }, { command: [program, argument] }.",
    "# Lines such as #port: 5433 show defaults or examples. To change such a setting, remove the #.",
    "",
    "connections:",
    `  ${name}:`,
    "    source:",
    `      type: ${definition.name}`,
    ...settingsOf(definition.configuration).flatMap((setting) => {
      const value = values[setting.name];
      if (value === undefined) return commented(setting, 6);
      const isNumber = typeof setting.default === "number" && /^\d+$/.test(value);
      return [...comment(setting.description, 6), `      ${set(setting.name, isNumber ? Number(value) : value)}`];
    }),
    "",
    "    destination:",
    `      type: ${destination.definition.name}`,
    ...Object.entries(destination.values).map(([setting, value]) => `      ${set(setting, value)}`),
    "",
    ...others.flatMap((setting) =>
      setting.name === "tables" && tables.length > 0
        ? [...comment(setting.description, 4), `    ${set("tables", { include: tables })}`]
        : commented(setting, 4, samples[setting.name]),
    ),
    "",
  ].join("\n");
}

/** Example values for settings of the connection whose defaults do not show their form. */
const samples: Readonly<Record<string, string>> = {
  schema: "iot",
  tables: "{ include: [sensor_*, devices], exclude: [sensor_archive] }",
  overrides: "{ sensor_readings: { columns: { exclude: [debug_*] }, cursor: recorded_at, rename: readings } }",
  commitRows: "1000",
  maxRowsPerSecond: "50000",
};

function commented(setting: Setting, indent: number, sample = ""): readonly string[] {
  const text = setting.default === undefined || sample !== "" ? sample : scalar(setting.default);
  return [
    ...comment(setting.description, indent),
    `${" ".repeat(indent)}#${setting.name}:${text === "" ? "" : ` ${text}`}`,
  ];
}

function comment(text: string, indent: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).filter((part) => part !== "")) {
    if (line !== "" && indent + line.length + word.length + 4 > lineWidth) {
      lines.push(line);
      line = "";
    }
    line = line === "" ? word : `${line} ${word}`;
  }
  if (line !== "") lines.push(line);
  return lines.map((part) => `${" ".repeat(indent)}# ${part}`);
}

/** A value in one line of YAML. A reference to a variable needs no quotation marks outside of braces and lists. */
function scalar(value: unknown): string {
  if (typeof value === "string" && /^\$\{\w+(?::-\w+)?\}$/.test(value)) return value;
  return stringify(value, { collectionStyle: "flow", lineWidth: 0 }).trimEnd();
}
