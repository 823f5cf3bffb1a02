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

/**
 * A file with one connection and all settings. Required settings are set; the others are comments with their defaults.
 * `answers`: values of the source's settings. Required settings without an answer come from the environment. `schema`:
 * the address of the file's JSON Schema, for editors.
 */
export function sampleFile(
  name: string,
  definition: SourceDefinition,
  settings: readonly Setting[],
  answers: Readonly<Record<string, string>>,
  schema: string,
): string {
  const value = (setting: Setting): string => {
    const answer = answers[setting.name];
    if (answer !== undefined) return scalar(answer);
    const variable = variableOf(definition.name, setting.name);
    return setting.name === "host" ? `\${${variable}:-localhost}` : `\${${variable}}`;
  };
  const shown = (setting: Setting): readonly string[] =>
    setting.required || answers[setting.name] !== undefined
      ? [...comment(setting.description, 6), `      ${setting.name}: ${value(setting)}`]
      : commented(setting, 6);
  const others = settingsOf(connectionSchema).filter((setting) => !["source", "destination"].includes(setting.name));
  return [
    `# yaml-language-server: $schema=${schema}`,
    "# What Headwaters copies from where to where.",
    "#   headwaters check     looks at it step by step",
    "#   headwaters sync      brings the copy up to date",
    "#   headwaters verify    proves that the copy is right",
    "# ${NAME} stands for an environment variable, ${NAME:-value} falls back to the value. A secret may also come from",
    "# a file or from a command: { file: path }, { command: [program, argument] }.",
    "# Lines as #port: 5433 are settings as they hold anyway, or examples; take the # away to change one.",
    "",
    "connections:",
    `  ${name}:`,
    "    source:",
    `      type: ${definition.name}`,
    ...settings.flatMap(shown),
    "",
    "    destination:",
    "      type: duckdb",
    "      path: warehouse.duckdb",
    "",
    ...others.flatMap((setting) => commented(setting, 4, samples[setting.name])),
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

/** A value in one line of YAML. `$` before a brace is doubled, so that it is taken literally. */
function scalar(value: unknown): string {
  const plain = typeof value === "string" ? value.replaceAll("${", () => "$${") : value;
  return stringify(plain, { collectionStyle: "flow", lineWidth: 0 }).trimEnd();
}
