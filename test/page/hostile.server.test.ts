import { expect, test } from "vitest";
import { runSql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { folderWith, sourceOf } from "../service/folder.ts";
import { Up } from "../service/up.ts";
import { openPage, startBrowserAndPostgresql } from "./browser.ts";

const hostile = [
  `<img src=x onerror=hit=1>`,
  `"><script>hit=1</script>`,
  `'; DROP TABLE x; --`,
  `javascript:hit=1`,
  `../../../etc/passwd`,
  `%2e%2e%2f#/x?y&z`,
  `{{constructor}}\${hit=1}`,
  `\u202Egnp.exe`,
  `__proto__`,
  "a\nb\tc",
  "x".repeat(60),
];

await describeWith(startBrowserAndPostgresql, "the page with hostile names", ({ browser, database }) => {
  test("names and errors are text, and nothing else", { timeout: 180_000 }, async () => {
    const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
    await runSql(
      database.connectionString,
      hostile
        .map(
          (name) => `CREATE TABLE ${quoted(name)} (id int PRIMARY KEY, ${quoted(`c${name}`.slice(0, 60))} text);
          INSERT INTO ${quoted(name)} VALUES (1, 'v');`,
        )
        .join("\n"),
    );
    const source = sourceOf(database);
    // A filter that the server refuses, with the filter in its words.
    const filter = {
      overrides: { __proto__: null, "<img src=x onerror=hit=1>": { filter: "'<svg onload=hit=1>' = id" } },
    };
    const connections = {
      good: { source, destination: "duckdb:good.duckdb" },
      bad: { source, destination: "duckdb:bad.duckdb", ...filter },
      "a..b": { source: { ...source, database: "<b>no such</b>" }, destination: "duckdb:<i>c</i>.duckdb" },
    };
    await using folder = await folderWith({ connections });
    await using up = await Up.start(folder.path);
    await using watched = await openPage(browser, up.address);
    const { page, faults } = watched;
    await page.goto(`${up.address}/#token=${up.token}`);
    const go = (route: string): Promise<unknown> => page.evaluate(`location.hash = ${JSON.stringify(route)}`);
    for (const name of Object.keys(connections)) await up.act(name, { action: "sync" });
    const runs = await Promise.all(Object.keys(connections).map((name) => up.ended(name)));
    expect(runs.map(({ outcome }) => outcome)).toEqual(["succeeded", "failed", "failed"]);
    await page.locator(".problem").first().waitFor();
    const rows = page.locator("tbody tr");
    await go("#/connections/good/tables");
    await rows.nth(hostile.length - 1).waitFor();
    expect((await page.locator("tbody tr a").allTextContents()).toSorted()).toEqual(hostile.toSorted());
    for (const name of hostile) {
      await go("#/connections/good/tables");
      await rows.first().waitFor();
      await page.locator("tbody tr a").filter({ hasText: name.trim() }).first().click();
      await page.getByRole("heading", { name: "How it is read, and why" }).waitFor();
    }
    for (const run of runs) {
      await go(`#/connections/${run.connection}/runs/${run.id}`);
      await page.getByRole("heading", { name: "Log" }).waitFor();
      await go(`#/connections/${run.connection}/history`);
      await page.locator(".runs tbody tr").first().waitFor();
    }
    // Routes that somebody was sent.
    for (const route of [
      "#/connections/%3Cimg%20src%3Dx%20onerror%3Dhit%3D1%3E",
      "#/connections/%",
      "#/<script>",
      "#token=",
      "#/connections/good/runs/../..",
    ]) {
      await go(route);
      await page.locator("h1").first().waitFor();
    }
    expect(await page.evaluate("globalThis.hit")).toBeUndefined();
    expect(
      await page.evaluate("document.querySelectorAll('main script, main img, main svg[onload], main iframe').length"),
    ).toBe(0);
    expect(faults).toEqual([]);
  });
});
