import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (name: string): string => readFileSync(join(root, name), "utf8");
const { scripts, version } = JSON.parse(read("package.json")) as {
  readonly scripts: Readonly<Record<string, string>>;
  readonly version: string;
};

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<
    Record<
      string,
      {
        readonly needs?: string | readonly string[];
        readonly uses?: string;
        readonly permissions?: Readonly<Record<string, string>>;
        readonly steps?: readonly { readonly run?: string; readonly uses?: string }[];
      }
    >
  >;
}

describe.each(["ci", "long", "release"])("the workflow %s", (name) => {
  const workflow = parse(read(`.github/workflows/${name}.yml`)) as Workflow;
  const jobs = Object.entries(workflow.jobs);

  test("names jobs, scripts and workflows that are there", () => {
    for (const [, { needs = [], uses, steps = [] }] of jobs) {
      for (const need of [needs].flat()) expect(Object.keys(workflow.jobs)).toContain(need);
      if (uses !== undefined) {
        expect(existsSync(join(root, uses))).toBe(true);
        expect((parse(read(uses)) as Workflow).on).toHaveProperty("workflow_call");
      }
      for (const { run = "" } of steps) {
        for (const [, script] of run.matchAll(/npm run ([\w:]+)/g)) expect(scripts).toHaveProperty([script!]);
        for (const [, file] of run.matchAll(/^bash (\S+)/gm)) expect(existsSync(join(root, file!))).toBe(true);
      }
    }
  });

  test("may write only where a job says so", () => {
    expect(workflow.permissions).toEqual({ contents: "read" });
    const writing = jobs.filter(([, { permissions = {} }]) => Object.values(permissions).includes("write"));
    expect(writing.map(([job]) => job)).toEqual(name === "release" ? ["npm", "github"] : []);
  });
});

test("nothing is published before the versions agree and CI has passed", () => {
  const { jobs } = parse(read(".github/workflows/release.yml")) as Workflow;
  expect(jobs["ci"]!.needs).toBe("version");
  for (const job of ["npm", "container", "executables"]) expect([jobs[job]!.needs].flat()).toContain("ci");
  expect(version).toMatch(/^\d+\.\d+\.\d+$/);
});

describe("the container image", () => {
  const lines = read("Dockerfile").split("\n");

  test("copies only what is there, or what a stage has made", () => {
    const copied = lines.filter((line) => line.startsWith("COPY ") && !line.includes("--from="));
    for (const line of copied)
      for (const path of line.split(" ").slice(1, -1)) expect(existsSync(join(root, path))).toBe(true);
    expect(copied).not.toEqual([]);
  });

  test("does not run as root, and holds no secrets of the checkout", () => {
    expect(lines.filter((line) => line.startsWith("USER "))).toEqual(["USER node"]);
    expect(read(".dockerignore").split("\n")).toEqual(expect.arrayContaining([".git", "**/.env", "node_modules"]));
  });
});
