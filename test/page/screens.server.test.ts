import type { Locator, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWith } from "../servers/require.ts";
import { sourceOf } from "../service/folder.ts";
import { until } from "../service/up.ts";
import { openPage, type Watched } from "./browser.ts";
import { type Place, startPlace } from "./place.ts";

await describeWith(startPlace, "the page of headwaters up", (place: Place) => {
  let watched: Watched;
  let page: Page;

  const open = async (route = "#/"): Promise<void> => {
    await page.goto("about:blank");
    await page.goto(`${place.up.address}/#token=${place.up.token}`);
    await page.getByRole("heading", { name: "Connections", exact: true }).waitFor();
    await go(route);
  };
  const go = (route: string): Promise<unknown> => page.evaluate(`location.hash = ${JSON.stringify(route)}`);
  const seen = (locator: Locator): Promise<void> => locator.waitFor({ timeout: 30_000 });
  const text = (words: string | RegExp): Locator => page.getByText(words).first();
  const row = (name: string): Locator =>
    page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) });
  const press = (name: string | RegExp): Promise<void> => page.getByRole("button", { name }).first().click();
  /** `kind`: of a run that may go on. */
  const idle = (name: string, kind?: string): Promise<unknown> =>
    until(`${name} has no run`, async () => (await place.up.connection(name)).running?.kind === kind);

  beforeAll(async () => {
    watched = await openPage(place.browser, place.up.address);
    ({ page } = watched);
  });

  afterAll(async () => {
    expect(watched.faults).toEqual([]);
    await watched[Symbol.asyncDispose]();
  });

  describe("the token", () => {
    test("is asked for, and refused if it is wrong", async () => {
      await page.goto(`${place.up.address}/`);
      await page.getByLabel("Token").fill("a wrong token");
      await press("Open");
      await seen(text("The service does not take this token."));
      await page.getByLabel("Token").fill(place.up.token);
      await press("Open");
      await seen(page.getByRole("heading", { name: "Connections", exact: true }));
    });

    test("is taken out of the address, and kept for this tab alone", async () => {
      await open();
      expect(page.url()).toBe(`${place.up.address}/#/`);
      await page.reload();
      await seen(page.getByRole("heading", { name: "Connections", exact: true }));
      expect(await page.evaluate("JSON.stringify(localStorage) + document.cookie")).not.toContain(place.up.token);
    });
  });

  describe("all connections", () => {
    test("are told with their state; those with problems come first, with code and what to do", async () => {
      await place.up.act("billing", { action: "sync" });
      await open();
      await seen(page.locator(".attention .problem", { hasText: "CONNECTION_REFUSED" }));
      await seen(page.locator(".attention").getByText("What to do:"));
      expect(await page.locator("tbody tr").first().innerText()).toContain("billing");
      await seen(row("sessions").getByText("Up to date", { exact: true }));
      // Rows are counted after the run has ended.
      await seen(row("sessions").getByText("500", { exact: true }));
      await seen(row("sessions").getByRole("meter"));
      expect(await row("sessions").innerText()).toMatch(/\d+ [sm] of 2 h/);
      expect(await row("shop").innerText()).toMatch(/Never run[\s\S]*never whole[\s\S]*no copy/);
    });

    test("are found by words, and by their state", async () => {
      await page.getByRole("searchbox").fill("valkey DUCKDB");
      expect(await page.locator("tbody tr").count()).toBe(1);
      await page.getByRole("searchbox").fill("nothing like it");
      await seen(text("No connection matches."));
      await page.getByRole("searchbox").fill("");
      await press(/^Need attention/);
      expect(await page.locator("tbody tr").allInnerTexts()).toEqual([expect.stringContaining("billing")]);
      await press(/^All/);
    });
  });

  describe("one connection", () => {
    test("runs now, and shows each table", async () => {
      await open("#/connections/shop");
      await press("Run now");
      await seen(text("shop has begun."));
      for (const table of ["customers", "orders", "items"]) await seen(row(table).getByText("whole"));
      expect(await row("items").innerText()).toMatch(/full\s+20,000[\s\S]*100%/);
      await seen(text(/27,000\s+in 3 tables/));
    });

    test("shows a run live, and stops it", async () => {
      await go("#/connections/archive");
      await press("Run now");
      await seen(row("items").getByText("reading"));
      await seen(row("items").getByText(/\/s$/));
      await seen(page.getByRole("progressbar", { name: "items, done" }));
      await seen(text("Syncing"));
      expect(await page.getByRole("button", { name: "Sweep" }).isDisabled()).toBe(true);
      await press("Stop");
      await seen(row("items").getByText("stopped"));
      await seen(page.getByRole("button", { name: "Run now" }));
      expect((await place.up.ended("archive")).outcome).toBe("stopped");
    });

    test("is verified, and swept", async () => {
      await open("#/connections/shop");
      await press("Verify");
      await seen(page.locator(".facts").getByText("CONVERGED"));
      await idle("shop");
      await press("Sweep");
      const run = await until("a sweep", async () => {
        const [last] = await place.up.get("GET /connections/{name}/runs", { name: "shop" }, "?kind=sync");
        return last?.trigger === "person" && last.outcome === "succeeded" && last.rowsRead < 50_000 && last;
      });
      expect((await place.up.get("GET /runs/{id}", { id: run.id })).tables.flatMap(({ passes }) => passes)).toContain(
        "keys",
      );
    });

    test("is read whole only after a question that names the rows", async () => {
      await idle("shop");
      await press("Full read …");
      const dialog = page.getByRole("dialog");
      await seen(dialog.getByRole("heading", { name: "Read all of shop again?" }));
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "detached" });
      await press("Full read …");
      const before = (await place.up.connection("shop")).lastRun!.started;
      await dialog.getByRole("button", { name: "Read 27,000 rows again" }).click();
      expect(await place.up.ended("shop", "sync", before)).toMatchObject({ rowsRead: 27_000, inserted: 0 });
    });

    test("is paused and resumed", async () => {
      await go("#/connections/sessions");
      await press("Pause");
      await seen(page.locator(".facts").getByText("Paused", { exact: true }));
      await press("Resume");
      await seen(page.locator(".facts").getByText("Up to date", { exact: true }));
    });

    test("deletes that the limit holds back are agreed to with their numbers", async () => {
      await idle("shop");
      await place.sql("DELETE FROM orders WHERE id > 880");
      await go("#/connections/shop");
      await press("Sweep");
      await seen(text("DELETES_STOPPED"));
      await press("Review the deletes of orders …");
      const dialog = page.getByRole("dialog");
      await seen(dialog.getByText("82.4%"));
      await dialog.getByRole("button", { name: "Delete 4,120 of 5,000 rows" }).click();
      await text("DELETES_STOPPED").waitFor({ state: "detached" });
      await seen(text(/22,880\s+in 3 tables/));
      expect((await place.up.connection("shop")).held).toEqual([]);
    });

    test("a scope that changed is agreed to", async () => {
      const { shop } = place.file.connections;
      const filter = { ...shop, overrides: { customers: { filter: "id <= 1500" } } };
      await idle("shop");
      await place.configure({ ...place.file, connections: { ...place.file.connections, shop: filter } });
      await go("#/connections/shop");
      await until("the new filter is taken on", async () => {
        await idle("shop");
        await place.up.act("shop", { action: "sync" });
        await idle("shop");
        return (await place.up.connection("shop")).error?.code === "SCOPE_CHANGED";
      });
      const review = page.getByRole("button", { name: "Review the new scope of customers …" });
      await seen(review);
      await go("#/connections/shop/tables/customers");
      await review.click();
      await page.getByRole("dialog").getByRole("button", { name: "Compare 2,000 rows with the new scope" }).click();
      await until("the rows are gone", async () => (await place.up.connection("shop")).rows === 22_380);
      await text("SCOPE_CHANGED").waitFor({ state: "detached" });
    });
  });

  describe("tables", () => {
    test("with columns, key, and how each is read", async () => {
      await open("#/connections/shop/tables");
      expect(await row("customers").innerText()).toMatch(/1,500[\s\S]*\bid\b[\s\S]*updated_at/);
      await row("customers").getByRole("link").click();
      await seen(page.getByRole("heading", { name: "How it is read, and why" }));
      expect(await page.locator(".sentences li").count()).toBeGreaterThan(0);
      expect(await page.getByRole("row", { name: /^id INT key no/ }).count()).toBe(1);
      await seen(page.getByRole("heading", { name: "Cost of the last passes" }));
    });
  });

  describe("history", () => {
    test("has charts, proofs, and runs that are filtered", async () => {
      await open("#/connections/shop/history");
      for (const name of ["Duration", "Age of the copy", "Rows read and written", "Deletes"])
        await seen(page.getByRole("img", { name }));
      expect(await page.locator("canvas").count()).toBe(4);
      await seen(text("4,620 rows deleted"));
      await seen(page.locator("section", { hasText: "Proofs" }).getByText("CONVERGED").first());
      const runs = page.locator(".runs tbody tr");
      const all = await runs.count();
      await press(/^verify/);
      expect(await runs.count()).toBe(1);
      await press(/^All/);
      expect(await runs.count()).toBe(all);
    });

    test("schema changes", async () => {
      await place.sql("ALTER TABLE customers ADD COLUMN phone text");
      await idle("shop");
      await press("Run now");
      await seen(
        page
          .locator("section", { hasText: "Schema changes" })
          .getByText(/"phone" added/)
          .last(),
      );
    });

    test("a failed run has its error by code, and a log that is searched", async () => {
      await go("#/connections/billing/history");
      await seen(page.locator("section", { hasText: "Errors by code" }).getByText("CONNECTION_REFUSED").first());
      await page.locator(".runs tbody a").first().click();
      await seen(page.getByRole("heading", { name: "Log" }));
      await go("#/connections/shop/history");
      await page.locator(".runs tbody a").last().click();
      await seen(page.locator(".log li").first());
      const lines = await page.locator(".log li").count();
      await page.getByRole("searchbox", { name: "Search the log" }).fill("items");
      const found = await page.locator(".log li").allInnerTexts();
      expect(found.length).toBeGreaterThan(0);
      expect(found.length).toBeLessThan(lines);
      expect(found.filter((line) => !line.includes("items"))).toEqual([]);
    });
  });

  describe("the service", () => {
    test("is named with its file", async () => {
      await open();
      await seen(page.locator("footer").getByText("headwaters.yaml"));
    });

    test("sends a test of an alert", async () => {
      await press("Test the alert team");
      await seen(page.locator(".said").getByText("The test was sent to team."));
      expect(place.alerts().at(-1)).toMatchObject({ event: "test" });
    });

    test("a file that is not taken on is reported, and the old one holds", async () => {
      await place.configure({ ...place.file, connections: { ...place.file.connections, shop: { source: 1 } } });
      await seen(text("CONFIGURATION_INVALID"));
      await place.configure(place.file);
      await text("CONFIGURATION_INVALID").waitFor({ state: "detached" });
      await seen(row("shop"));
    });

    test("goes away and comes back: the last known state stays, and is read anew", async () => {
      await go("#/connections/sessions");
      await seen(page.locator("header").getByText("Live"));
      await place.up.stop("SIGKILL");
      await seen(text(/The service went away/));
      await seen(page.locator(".facts").getByText("Up to date", { exact: true }));
      await place.restart();
      await seen(page.locator("header").getByText("Live"));
      expect(await text(/The service went away/).count()).toBe(0);
      await place.cache.run("HSET", "session:new", "user", "one more");
      await press("Run now");
      await seen(text(/501\s+in \d+ table/));
    });
  });

  describe("a connection that is followed", () => {
    test("shows its lag and the log that is kept, is verified beside, stopped and resumed", async () => {
      const live = {
        source: { ...sourceOf(place.database), changes: "stream" },
        destination: "duckdb:live.duckdb",
        schedule: "follow",
      };
      await place.configure({ ...place.file, connections: { ...place.file.connections, live } });
      await open();
      await seen(row("live").getByText("Following", { exact: true }));
      await go("#/connections/live");
      await seen(page.locator(".facts").getByText("Log kept by the source"));
      await seen(page.locator(".facts").getByText(/of 10\.0 GiB/));
      expect(await page.getByRole("button", { name: "Run now" }).count()).toBe(0);
      await place.sql("UPDATE customers SET name = 'another' WHERE id < 10");
      await until("the change is in the copy", async () => (await place.up.connection("live")).running?.updated === 9);
      await press("Verify");
      await seen(page.locator(".facts").getByText("CONVERGED"));
      await seen(page.locator(".facts").getByText("Following", { exact: true }));
      await idle("live", "follow");
      await press("Stop");
      await seen(page.locator(".facts").getByText("Paused", { exact: true }));
      await press("Resume");
      await seen(page.locator(".facts").getByText("Following", { exact: true }));
      await place.configure(place.file);
      await until(
        "it is gone",
        async () => !(await place.up.get("GET /connections")).some(({ name }) => name === "live"),
      );
    });
  });

  test("is used by keyboard: a link to the content, a visible focus", async () => {
    await open();
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to the content");
    await page.keyboard.press("Enter");
    expect(await page.evaluate("document.activeElement.tagName")).toBe("H1");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")).toBe("solid");
    expect(page.url()).toBe(`${place.up.address}/#/`);
  });
});
