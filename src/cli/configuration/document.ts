import { isScalar, LineCounter, parseDocument } from "yaml";
import { HeadwatersError } from "../../protocol/errors.ts";

/** A path into a document: names of settings and positions in lists. */
export type Path = readonly (string | number)[];

/** A parsed file that knows the places of its values in the text. */
export interface Document {
  /** The file's name as the user gave it. */
  readonly file: string;
  readonly value: unknown;
  /** The line, from 1, of the longest part of the path that exists; `null`: the whole file. */
  line(path: Path): number | null;
  /** The text of a scalar in the file: `0123` for the value 123. `null`: not a scalar. */
  text(path: Path): string | null;
}

/**
 * Our messages for the parser's error codes. The parser's own messages quote parts of the file, which may hold a
 * password.
 */
const mistakes: Readonly<Record<string, string>> = {
  BAD_ALIAS: "refers to an anchor (*name) that has no name",
  BAD_DQ_ESCAPE: 'has an escape (\\) that does not exist, in a text in "quotes"',
  BAD_INDENT: "is not indented as the lines around it",
  BAD_SCALAR_START: "begins with a character that needs quotes around the text",
  BLOCK_AS_IMPLICIT_KEY: "has two settings in one line, or a text with a colon that needs quotes",
  BLOCK_IN_FLOW: "has an indented block inside { } or [ ]",
  DUPLICATE_KEY: "repeats a name that was used before",
  MISSING_CHAR: "lacks a closing quote, bracket, comma or colon, here or before",
  MULTILINE_IMPLICIT_KEY: "begins a setting in one line and ends it in another; a colon is missing, or quotes",
  MULTIPLE_DOCS: "begins a second document (---)",
  TAB_AS_INDENT: "is indented by a tab; use spaces",
  UNEXPECTED_TOKEN: "has a quote, a bracket or a comma in the wrong place",
};

/** In `{ password: ${NAME} }` YAML would parse the braces of the reference. Marks replace them while it parses. */
const references = /\$\{([A-Za-z_][A-Za-z0-9_]*(?::-[^}\n]*)?)\}/g;
const marks = /\$\uE000([^\uE001]*)\uE001/g;

/** The text for the parser, with marks in place of references. {@link unmarked} restores them. */
export function marked(text: string): string {
  return text.replace(references, "$\uE000$1\uE001");
}

export function unmarked(text: string): string {
  return text.replace(marks, "${$1}");
}

/** Parses YAML, which includes JSON. Throws `CONFIGURATION_INVALID` with line and column. */
export function parseYaml(text: string, file: string): Document {
  const lines = new LineCounter();
  // The parser's default limit of 100 aliases protects against files that expand without end.
  const document = parseDocument(marked(text), { prettyErrors: false, lineCounter: lines, merge: true });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    const mistake = mistakes[error.code] ?? `can't be parsed (${error.code})`;
    throw new HeadwatersError("CONFIGURATION_INVALID", `${file}, line ${line}, column ${col}: this line ${mistake}.`, {
      hint: "Texts with a colon, a # or a quote inside, or a @, %, &, *, !, { or [ at the start, need quotes around them.",
    });
  }
  return {
    file,
    value: valueOf(document, file),
    line(path) {
      for (let depth = path.length; depth > 0; depth--) {
        const node: unknown = document.getIn(path.slice(0, depth), true);
        const range = (node as { range?: readonly number[] | null } | undefined)?.range;
        if (range?.[0] !== undefined) return lines.linePos(range[0]).line;
      }
      return null;
    },
    text(path) {
      const node: unknown = document.getIn(path, true);
      return isScalar(node) && node.value !== null && node.source !== undefined ? unmarked(node.source) : null;
    },
  };
}

/** Parses `configuration.json`: JSON that may have `//` comments, as in the published examples. */
export function parseJson(text: string, file: string): Document {
  return parseYaml(withoutComments(text), file);
}

function valueOf(document: ReturnType<typeof parseDocument>, file: string): unknown {
  try {
    return document.toJS({ reviver: (_, value: unknown) => (typeof value === "string" ? unmarked(value) : value) });
  } catch (error) {
    // The parser reports an alias without its anchor only here.
    if (!(error instanceof ReferenceError)) throw error;
    throw new HeadwatersError("CONFIGURATION_INVALID", `${file}: an alias (*name) has no anchor (&name) before it.`, {
      hint: "A text that begins with * needs quotes around it.",
      cause: error,
    });
  }
}

/** Replaces `//` comments outside of quotes with spaces, so that lines and columns stay the same. */
function withoutComments(text: string): string {
  return text
    .replace(/^\uFEFF/, " ")
    .replace(/"(?:[^"\\\n]|\\.)*"|\/\/[^\n]*/g, (part) => (part.startsWith("//") ? " ".repeat(part.length) : part));
}
