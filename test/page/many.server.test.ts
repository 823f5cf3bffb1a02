import { expect, test } from "vitest";
import { runSql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { folderWith, sourceOf } from "../service/folder.ts";
import { Up } from "../service/up.ts";
import { openPage, startBrowserAndPostgresql } from "./browser.ts";

const tables = Array.from(
  { length: 200 },
  (_, at) => `CREATE TABLE part_${at} AS SELECT n AS id, 'value ' || n AS value FROM generate_series(1, 20) n;
    ALTER TABLE part_${at} ADD PRIMARY KEY (id);`,
).join("\n");

await describeWith(startBrowserAndPostgresql, "the page with many connections and tables", ({ browser, database }) => {
  test("100 connections, and 200 tables in a run", async () => {
    await runSql(database.connectionString, tables);
    const source = sourceOf(database);
    const others = Array.from({ length: 99 }, (_, at) => [
      `tenant_${String(at).padStart(2, "0")}`,
      { source, destination: "duckdb:tenants.duckdb", schema: `tenant_${at}` },
    ]);
    const parts = { source, destination: "duckdb:parts.duckdb" };
    await using folder = await folderWith({ connections: { ...Object.fromEntries(others), parts } });
    await using up = await Up.start(folder.path);
    await using watched = await openPage(browser, up.address);
    const { page, faults } = watched;
    const rows = page.locator("tbody tr");
    await page.goto(`${up.address}/#token=${up.token}`);
    await rows.nth(99).waitFor();
    expect(await rows.count()).toBe(100);
    await page.getByRole("searchbox").pressSequentially("tenant_42");
    expect(await rows.allInnerTexts()).toEqual([expect.stringContaining("tenant_42")]);

    await page.evaluate(`location.hash = "#/connections/parts"`);
    await page.getByRole("button", { name: "Run now" }).click();
    await rows.nth(199).waitFor();
    await page.getByRole("button", { name: /^whole ?200$/ }).waitFor({ timeout: 60_000 });
    await page.getByRole("searchbox").pressSequentially("part_142");
    expect(await rows.count()).toBe(1);
    expect(await rows.innerText()).toMatch(/whole[\s\S]*20[\s\S]*100%/);
    expect(faults).toEqual([]);
  });
});
