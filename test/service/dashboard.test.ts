import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

/** Metrics of our own that the code makes. */
const made = new Set(
  [...read("src/service/metrics.ts").matchAll(/(?:gauge\("|name: "headwaters_)([a-z_]+)"/g)].map(
    ([, name]) => `headwaters_${name}`,
  ),
);

const named = (text: string): readonly string[] => [...text.matchAll(/headwaters_[a-z_]+[a-z]/g)].map(([name]) => name);

test.each(["examples/grafana/headwaters.json", "docs/up.md"])("%s names metrics that there are", (path) => {
  const names = named(read(path)).map((name) => name.replace(/_bucket$/, ""));
  expect(names.length).toBeGreaterThan(10);
  expect(names.filter((name) => !made.has(name))).toEqual([]);
});

test("every metric is described", () => {
  expect([...made].filter((name) => !named(read("docs/up.md")).includes(name))).toEqual([]);
});
