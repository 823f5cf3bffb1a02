import type { z } from "zod";
import { HeadwatersError } from "../../protocol/errors.ts";
import { nearest } from "../../toolkit/nearest.ts";
import type { Path } from "./document.ts";

/** A problem with one setting. */
export interface Problem {
  /** The path of the setting, from the root of the checked value. */
  readonly path: Path;
  /** The text after the setting's name in a sentence: `must be a whole number, not "abc"`. */
  readonly message: string;
  /** What to do, in whole sentences; empty: the message is enough. */
  readonly remedy: string;
}

/** The place where the user gave a setting. */
export interface Place {
  /** `connections.iot.source.port`, `--deletes`. */
  readonly label: string;
  readonly file: string | null;
  readonly line: number | null;
}

/** The context for checking a value by a schema. */
export interface Checked {
  /** The prefix of the problems' paths. */
  readonly at: Path;
  /** Settings at the root of the schema whose values are never shown. */
  readonly secrets: ReadonlySet<string>;
  /** The names of the settings at a path, for suggestions. */
  known(path: Path): readonly string[];
}

/** Marks zod's own messages, which are replaced by ours. Messages of a schema are kept. */
const unsaid = "\u0000";

/** Checks a value by a schema. Returns the output, or all problems. */
export function validate<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  checked: Checked,
):
  | { readonly output: z.output<Schema>; readonly problems: readonly [] }
  | { readonly output: null; readonly problems: readonly Problem[] } {
  const result = schema.safeParse(value, { error: () => unsaid, reportInput: true });
  if (result.success) return { output: result.data, problems: [] };
  return { output: null, problems: result.error.issues.flatMap((issue) => explain(issue, value, checked)) };
}

type Issue = z.core.$ZodIssue;

function explain(issue: Issue, root: unknown, checked: Checked): readonly Problem[] {
  const inner: Path = issue.path.map((part) => (typeof part === "number" ? part : String(part)));
  const path = [...checked.at, ...inner];
  if (issue.code === "unrecognized_keys") {
    const known = checked.known(inner);
    return issue.keys.map((key) => unknownName([...path, key], key, known));
  }
  // The value as the user wrote it. If it was converted before the check (a list of tables), its path is different.
  const input = valueAt(root, inner) ?? issue.input;
  if (input === undefined) return [{ path, message: "is missing", remedy: "" }];
  const secret = checked.secrets.has(String(inner[0] ?? ""));
  const told = issue.message === unsaid || issue.message === "" ? requirement(issue) : issue.message;
  const not = secret || input === "" || told.includes(", not ") ? "" : `, not ${shown(input)}`;
  const close = issue.code === "invalid_value" ? nearest(String(input), issue.values.map(String)) : null;
  return [
    { path, message: `${told.replace(/\.$/, "")}${not}`, remedy: close === null ? "" : `Did you mean ${close}?` },
  ];
}

/** The problem of an unknown name. `known`: all known names. */
function unknownName(path: Path, name: string, known: readonly string[]): Problem {
  const meant = nearest(name, known);
  const remedy =
    meant !== null ? `Did you mean ${meant}?` : known.length === 0 ? "" : `There are ${[...known].sort().join(", ")}.`;
  return { path, message: "is not a setting", remedy };
}

/** The requirement for a value, by zod's kind of issue. */
function requirement(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return `must be ${typeNames[issue.expected] ?? issue.expected}`;
    case "invalid_value":
      return `must be ${issue.values.length === 1 ? "" : "one of "}${issue.values.map(String).join(", ")}`;
    case "too_small":
      if (issue.origin === "string" || issue.origin === "array") return "must not be empty";
      return `must be ${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}`;
    case "too_big":
      return `must be ${issue.inclusive === false ? "less than" : "at most"} ${issue.maximum}${
        issue.origin === "string" ? " characters long" : ""
      }`;
    case "invalid_format":
      return `must be a valid ${issue.format}`;
    case "not_multiple_of":
      return `must be a multiple of ${issue.divisor}`;
    case "invalid_union":
      return [...new Set(issue.errors.flatMap((branch) => branch.slice(0, 1).map(requirement)))]
        .join(" or ")
        .replaceAll(" or must be ", " or ");
    default:
      return "has a value that it can't have";
  }
}

const typeNames: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a mapping of settings",
  record: "a mapping of settings",
  null: "null",
};

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Readonly<Record<string | number, unknown>>)[part];
  }
  return value;
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "a mapping of settings";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}…`;
}

/** One error for all problems, each with its place and its remedy. */
export function invalid(problems: readonly Problem[], placeOf: (path: Path) => Place): HeadwatersError {
  const [first] = problems;
  if (first !== undefined && problems.length === 1) {
    const place = placeOf(first.path);
    const where = place.file === null ? "" : `${place.file}${place.line === null ? "" : `, line ${place.line}`}: `;
    return new HeadwatersError("CONFIGURATION_INVALID", `${where}${place.label} ${first.message}.`, hint(first.remedy));
  }
  const lines = problems.map((problem) => {
    const { file, line, label } = placeOf(problem.path);
    const where = file === null ? "" : `${file}${line === null ? "" : `, line ${line}`}: `;
    return `  ${where}${label} ${problem.message}.${problem.remedy === "" ? "" : ` ${problem.remedy}`}`;
  });
  return new HeadwatersError("CONFIGURATION_INVALID", `${problems.length} settings are wrong:\n${lines.join("\n")}`);
}

function hint(remedy: string): { hint?: string } {
  return remedy === "" ? {} : { hint: remedy };
}
