import type { z } from "zod";
import { HeadwatersError } from "../../protocol/errors.ts";
import { nearest } from "../../toolkit/nearest.ts";
import type { Path } from "./document.ts";

/** Something that is wrong with one setting. */
export interface Problem {
  /** Of the setting, from the root of what was checked. */
  readonly path: Path;
  /** Follows the setting's name in a sentence: `must be a whole number, not "abc"`. */
  readonly message: string;
  /** What to do, in whole sentences; empty: the message says it. */
  readonly remedy: string;
}

/** Where a setting was given, as users know it. */
export interface Place {
  /** `connections.iot.source.port`, `--deletes`. */
  readonly label: string;
  readonly file: string | null;
  readonly line: number | null;
}

/** What the checker of one schema knows beside it. */
export interface Checked {
  /** Goes before the paths of the problems. */
  readonly at: Path;
  /** Settings whose values are never shown, at the root of the schema. */
  readonly secrets: ReadonlySet<string>;
  /** Names of the settings at a path, for a mistyped one. */
  known(path: Path): readonly string[];
}

/** Zod's own messages give way to ours; what a schema itself says stands. */
const unsaid = "\u0000";

/** Checks a value by its schema: the output, or everything that is wrong. */
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
  // As the user wrote it; a value that was put in order before the check (a list of tables) lies elsewhere there.
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

/** A name that is not known; `known` has all that are. */
function unknownName(path: Path, name: string, known: readonly string[]): Problem {
  const meant = nearest(name, known);
  const remedy =
    meant !== null ? `Did you mean ${meant}?` : known.length === 0 ? "" : `There are ${[...known].sort().join(", ")}.`;
  return { path, message: "is not a setting", remedy };
}

/** What a value must be, by zod's kinds of issues. */
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

/** All problems in one error: each with its place and what to do. */
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
