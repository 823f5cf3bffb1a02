import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const docs = fileURLToPath(new URL("../../docs/", import.meta.url));

/** One thing that the reader of a page does, in the order of the page. */
export type Step =
  /** A block whose first line names a file: `# compose.yaml`. */
  | { readonly kind: "file"; readonly name: string; readonly text: string }
  /** A line of a block of commands. `code`: the exit code that a comment behind it promises, `# exit code 4`. */
  | { readonly kind: "command"; readonly line: string; readonly code: number }
  /** A block for the client of the server, without a file. */
  | { readonly kind: "statements"; readonly language: string; readonly text: string };

export interface Page {
  /** From `docs/`. */
  readonly path: string;
  /** What `<!-- tested on: postgresql -->` says; `null`: the commands of the page are not run. */
  readonly testedOn: string | null;
  readonly steps: readonly Step[];
}

const block = /^```(\w+)\n(.*?)^```$/gms;
const fileName = /^(?:#|--) (\S+\.\w+)\n/;

function stepsOf(text: string): readonly Step[] {
  return [...text.matchAll(block)].flatMap(([, language, body]): readonly Step[] => {
    if (language === "sh") return commandsOf(body!);
    const name = fileName.exec(body!)?.[1];
    if (name !== undefined) return [{ kind: "file", name, text: body! }];
    return ["sql", "js"].includes(language!) ? [{ kind: "statements", language: language!, text: body! }] : [];
  });
}

function commandsOf(body: string): readonly Step[] {
  return body
    .replaceAll("\\\n", " ")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => ({
      kind: "command",
      line: line.replace(/\s+#.*$/, "").trim(),
      code: Number(/# exit code (\d+)/.exec(line)?.[1] ?? 0),
    }));
}

function pageOf(path: string): Page {
  const text = readFileSync(docs + path, "utf8");
  return { path, testedOn: /^<!-- tested on: (\S+) -->$/m.exec(text)?.[1] ?? null, steps: stepsOf(text) };
}

/** Every page of `docs/`. */
export const pages: readonly Page[] = readdirSync(docs, { recursive: true, encoding: "utf8" })
  // The site has copies of the pages.
  .filter((name) => name.endsWith(".md") && !name.startsWith("site"))
  .map((name) => pageOf(name.replaceAll("\\", "/")))
  .sort((a, b) => (a.path < b.path ? -1 : 1));

/** The words of a command, as a shell takes them. `$` in single quotes stays. */
export function words(line: string): readonly string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].slice(1).map(([, a, b, c]) => a ?? b ?? c!);
}
