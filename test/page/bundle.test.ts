import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { built } from "../built.ts";

const read = (file: string): string => readFileSync(built(`page/${file}`), "utf8");

test("the page is a document, a script, a style sheet and an icon", () => {
  expect(readdirSync(built("page")).sort()).toEqual(["icon.svg", "index.html", "page.css", "page.js"]);
});

test("the script has less than 150 kB compressed", () => {
  expect(gzipSync(read("page.js")).length).toBeLessThan(150_000);
});

test("nothing is inline, and nothing is of another host", () => {
  const document = read("index.html");
  expect(document).not.toMatch(/<style|style=|<script(?![^>]* src=)|\son\w+=/i);
  expect([...document.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, address]) => address)).toEqual([
    "icon.svg",
    "page.css",
    "page.js",
  ]);
  expect(read("page.css")).not.toMatch(/url\(|@import/);
});

test("text of the service is never parsed as HTML, and zod is not in it", () => {
  const script = read("page.js");
  expect(script).not.toMatch(/insertAdjacentHTML|document\.write|new Function|ZodError/);
});
