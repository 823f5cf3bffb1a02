import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { runCli } from "../cli/run-cli.ts";
import { keys, Typist } from "../cli/typist.ts";
import { type Page, pages, type Step, words } from "./pages.ts";

/** A server that stands where pages say `localhost`. */
export interface Stage {
  readonly host: string;
  readonly port: number;
  /** What the server wants in addresses before its host, where the pages have nothing: `user:password@`. */
  readonly login?: string;
  /** Names on the pages that are others here, since other tests use the server too. */
  readonly names?: Readonly<Record<string, string>>;
  /** Does what the client of the pages does. `typed`: the arguments of the client; else `text` is its input. */
  client(input: { readonly typed: string } | { readonly text: string }): Promise<void>;
}

/**
 * Runs each page that is tested on this server, step by step, in a folder of its own. Pages other than the quick start go on
 * with what that one made: `reset` empties the server, and its steps are taken again up to the first copy.
 */
export function runPages(server: string, stage: Stage, { reset, last }: Around = {}): void {
  const tested = pages.filter(({ testedOn }) => testedOn === server);
  const quickStart = tested.find(isQuickStart)!;
  const made = quickStart.steps.slice(0, quickStart.steps.findIndex(isInit) + 1);
  afterAll(async () => last?.());

  for (const page of [quickStart, ...tested.filter((other) => other !== quickStart)]) {
    describe(page.path, () => {
      let folder: string;
      beforeAll(async () => {
        folder = await mkdtemp(join(tmpdir(), "headwaters-page-"));
        if (page === quickStart) return;
        await reset!();
        for (const step of made) await take(step, stage, folder);
      });
      afterAll(() => rm(folder, { recursive: true, force: true }));
      for (const [index, step] of page.steps.entries())
        test(`${index + 1}: ${titleOf(step)}`, () => take(step, stage, folder), 60_000);
    });
  }
}

interface Around {
  readonly reset?: () => Promise<unknown>;
  readonly last?: () => Promise<unknown>;
}

function isQuickStart({ path }: Page): boolean {
  return path.startsWith("quick-start/");
}

function isInit(step: Step): boolean {
  return step.kind === "command" && step.line.startsWith("headwaters init ");
}

function titleOf(step: Step): string {
  return step.kind === "command" ? step.line : step.kind === "file" ? step.name : step.language;
}

async function take(step: Step, stage: Stage, folder: string): Promise<void> {
  if (step.kind === "file") {
    if (step.name.endsWith(".yaml")) expect(parse(step.text)).toBeTypeOf("object");
    await writeFile(join(folder, step.name), here(step.text, stage));
  } else if (step.kind === "statements") await stage.client({ text: here(step.text, stage) });
  else if (step.line.startsWith("docker compose exec ")) await clientOf(step.line, stage, folder);
  else if (step.line.startsWith("docker compose up ")) await composeOf(folder);
  else if (step.line.startsWith("headwaters ")) await headwaters(step, stage, folder);
  else if (step.line.startsWith("cp ")) {
    const [from, to] = words(step.line);
    await copyFile(join(folder, from!), join(folder, to!));
  } else throw new Error(`nobody runs this command: ${step.line}`);
}

/** The text of a page, but for the address of the server and names on it. */
function here(text: string, { host, port, login = "", names = {} }: Stage): string {
  const renamed = Object.entries(names).reduce(
    (result, [name, own]) => result.replaceAll(new RegExp(`\\b${name}\\b`, "g"), own),
    text,
  );
  return renamed
    .replaceAll(/:\/\/([^@/\s]*@)?localhost\b/g, (_, given?: string) => `://${given ?? login}${host}:${port}`)
    .replaceAll(/host: localhost\b/g, `host: ${host}\n      port: ${port}`);
}

/** A client in the container: `docker compose exec -T postgresql psql shop < shop.sql`. */
async function clientOf(line: string, stage: Stage, folder: string): Promise<void> {
  const [, client, input] = /^docker compose exec (?:-T )?\S+ (.*?)(?: < (\S+))?$/.exec(line)!;
  if (input !== undefined) return stage.client({ text: await readFile(join(folder, input), "utf8") });
  return stage.client({ typed: here(client!, stage) });
}

/** No container engine is there: the file has at least what the command needs. */
async function composeOf(folder: string): Promise<void> {
  const { services } = parse(await readFile(join(folder, "compose.yaml"), "utf8")) as {
    readonly services: Readonly<Record<string, { readonly image: string; readonly healthcheck: object }>>;
  };
  for (const { image, healthcheck } of Object.values(services)) {
    expect(image).toMatch(/^[\w./-]+(:[\w.-]+)?$/);
    expect(healthcheck).toHaveProperty("test");
  }
}

async function headwaters(step: Step & { readonly kind: "command" }, stage: Stage, folder: string): Promise<void> {
  // A side that does not work is asked about: then nobody answers.
  const terminal = new Typist([["What now?", keys.stop]]);
  // `init` asks on a terminal: what the flags of the page give is not asked.
  const streams = isInit(step) ? { stdin: terminal.stdin, stdout: terminal, stderr: terminal } : {};
  const { code, out, error } = await runCli(words(here(step.line, stage)), { folder, environment: {}, ...streams });
  expect(code, `${out}\n${error}\n${terminal.text}`).toBe(step.code);
}
