import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWith } from "../servers/require.ts";
import { until } from "../service/up.ts";
import { barriers, openPage, overflow, type Watched } from "./browser.ts";
import { type Place, startPlace } from "./place.ts";

/**
 * Where pictures of all screens are written, for a person who looks at them; `docs`: those of the docs, into docs/images.
 * They take a minute more, so that the charts have something to show.
 */
const pictures = process.env["HEADWATERS_PICTURES"] ?? "";

const widths = { 360: 780, 1280: 860, 2560: 1_440 } as const;
type Width = keyof typeof widths;
const themes = ["light", "dark"] as const;
type Theme = (typeof themes)[number];

const forDocs: Readonly<Record<string, readonly [Width, Theme]>> = {
  connections: [1280, "light"],
  live: [1280, "dark"],
  deletes: [1280, "light"],
  history: [1280, "light"],
  table: [360, "dark"],
};

/** The screens, and what each waits for. */
const screens: Readonly<Record<string, (page: Page, place: Place) => Promise<unknown>>> = {
  connections: (page) => show(page, "#/", "tbody tr"),
  async live(page, place) {
    const { running } = await place.up.connection("archive");
    if (running === null) await place.up.act("archive", { action: "sync", full: true });
    await show(page, "#/connections/archive", "tbody .tone-run");
    // Far enough to show a rate and what is left.
    await until("half of it is read", async () => {
      const tables = await place.up.get("GET /connections/{name}/progress", { name: "archive" });
      return (
        tables.some(({ left, state }) => state === "reading" && left !== null) ||
        tables.every(({ state }) => state === "whole")
      );
    });
  },
  async deletes(page) {
    await show(page, "#/connections/shop", ".problem button");
    await page.locator(".problem button").first().click();
    await page.getByRole("dialog").waitFor();
  },
  tables: (page) => show(page, "#/connections/shop/tables", "tbody tr"),
  table: (page) => show(page, "#/connections/shop/tables/customers", ".sentences li"),
  async history(page) {
    await show(page, "#/connections/shop/history", "tbody tr");
    await page.getByRole("button", { name: "1 hour" }).click();
    await page.locator("canvas").nth(3).waitFor();
  },
  async run(page, place) {
    const [run] = await place.up.get("GET /connections/{name}/runs", { name: "billing" });
    await show(page, `#/connections/billing/runs/${run!.id}`, ".log li");
  },
};

/** More tables, so that a picture of a run shows several states. */
const events = ["clicks", "payments", "returns", "reviews", "shipments", "visits"]
  .map(
    (table, at) =>
      `CREATE TABLE ${table} (id int PRIMARY KEY, value text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
       INSERT INTO ${table} SELECT n, repeat('x', 40) || n FROM generate_series(1, ${9_000 + at * 9_000}) n;`,
  )
  .join("\n");

async function show(page: Page, route: string, waitsFor: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(route)}`);
  await page.locator(waitsFor).first().waitFor();
}

await describeWith(startPlace, "how the page looks", (place: Place) => {
  beforeAll(async () => {
    for (const name of ["shop", "billing", "sessions"]) await place.up.act(name, { action: "sync" });
    await place.up.ended("billing");
    await place.up.ended("sessions");
    await place.up.ended("shop");
    await place.up.act("shop", { action: "verify" });
    await place.up.ended("shop", "verify");
    const runs = pictures === "" ? 0 : 20;
    if (runs > 0) await place.sql(events);
    for (let at = 0; at < runs; at++) {
      await place.sql(`INSERT INTO items SELECT n, 1, 'new' FROM generate_series(${30_000 + at * 600}, ${30_100 + at * 600 + at * 20}) n;
        UPDATE orders SET amount = amount + 1, updated_at = now() WHERE id % 10 = ${at % 10};
        DELETE FROM customers WHERE id BETWEEN ${at * 20} AND ${at * 20 + (at % 7)};
        SELECT pg_sleep(1)`);
      const before = (await place.up.connection("shop")).lastRun!.started;
      await place.up.act("shop", { action: "sync" });
      await place.up.ended("shop", "sync", before);
    }
    await place.sql("DELETE FROM orders WHERE id > 880");
    await place.up.act("shop", { action: "sync", sweep: true });
    await until("the delete limit holds", async () => (await place.up.connection("shop")).held.length > 0);
  }, 300_000);

  const all = themes.flatMap((theme) =>
    (Object.keys(widths).map(Number) as Width[]).map((width) => [theme, width] as const),
  );

  describe.each(all)("%s, %d pixels", (theme, width) => {
    let watched: Watched;

    beforeAll(async () => {
      const viewport = { width, height: widths[width] };
      watched = await openPage(place.browser, place.up.address, { colorScheme: theme, viewport });
      await watched.page.goto(`${place.up.address}/#token=${place.up.token}`);
      await watched.page.locator("tbody tr").first().waitFor();
    });

    afterAll(async () => {
      expect(watched.faults).toEqual([]);
      await watched[Symbol.asyncDispose]();
    });

    test.each(Object.keys(screens))("%s: no barrier, and nothing beside the window", async (name) => {
      const { page } = watched;
      await screens[name]!(page, place);
      await picture(page, name, width, theme);
      expect(await overflow(page)).toBeLessThanOrEqual(0);
      expect(await barriers(page)).toEqual([]);
      await page.keyboard.press("Escape");
    });
  });
});

async function picture(page: Page, name: string, width: Width, theme: Theme): Promise<void> {
  if (pictures === "") return;
  const [docsWidth, docsTheme] = forDocs[name] ?? [];
  if (pictures === "docs" && (docsWidth !== width || docsTheme !== theme)) return;
  const folder = pictures === "docs" ? "docs/images" : pictures;
  mkdirSync(folder, { recursive: true });
  const path = join(folder, pictures === "docs" ? `${name}.png` : `${name}-${width}-${theme}.png`);
  await page.screenshot({ path, fullPage: pictures !== "docs" });
  if (pictures === "docs") expect(statSync(path).size).toBeLessThan(200_000);
}
