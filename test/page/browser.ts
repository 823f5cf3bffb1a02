import process from "node:process";
import axe from "axe-core";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { type PostgresqlServer, startPostgresql } from "../servers/postgresql.ts";
import { MissingServer } from "../servers/require.ts";

const variable = "HEADWATERS_TEST_CHROMIUM";

const usual = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Starts the Chromium of HEADWATERS_TEST_CHROMIUM, else an installed one. Throws {@link MissingServer}. */
export async function startBrowser(): Promise<Browser> {
  const given = process.env[variable];
  const reasons: string[] = [];
  for (const executablePath of given === undefined || given === "" ? usual : [given]) {
    try {
      // A container, and root, can't have Chromium's own sandbox; the only pages are ours.
      return await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    } catch (error) {
      reasons.push(error instanceof Error ? error.message.split("\n")[0]! : String(error));
    }
  }
  const how = "apt-get install --no-install-recommends chromium";
  throw new MissingServer(`${variable} names no Chromium, and none is installed (${how}): ${reasons.at(-1)}`);
}

/** For tests that make their own tables. */
interface BrowserAndPostgresql extends AsyncDisposable {
  readonly browser: Browser;
  readonly database: PostgresqlServer;
}

export async function startBrowserAndPostgresql(): Promise<BrowserAndPostgresql> {
  const browser = await startBrowser();
  const database = await startPostgresql().catch(async (error: unknown) => {
    await browser.close();
    throw error;
  });
  return {
    browser,
    database,
    async [Symbol.asyncDispose]() {
      await browser.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** A page that notes what must not happen: errors of scripts, refusals by the policy, requests to other hosts. */
export interface Watched extends AsyncDisposable {
  readonly page: Page;
  readonly faults: string[];
}

export async function openPage(
  browser: Browser,
  origin: string,
  options: BrowserContextOptions = {},
): Promise<Watched> {
  const context = await browser.newContext({
    reducedMotion: "reduce",
    viewport: { width: 1280, height: 860 },
    ...options,
  });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    // A service that is away, or refuses, is noted by the browser itself.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
      faults.push(message.text());
  });
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== origin) faults.push(`a request to ${request.url()}`);
  });
  return { page, faults, [Symbol.asyncDispose]: () => context.close() };
}

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string }[];
}

/** What axe finds serious or critical. */
export async function barriers(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate<readonly Violation[]>(
    `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations)`,
  );
  return found
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes[0]!.html}`);
}

/** By how many pixels the page is wider than its window. */
export async function overflow(page: Page): Promise<number> {
  return page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
}
