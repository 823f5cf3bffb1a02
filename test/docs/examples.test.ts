import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Sandbox } from "../cli/sandbox.ts";
import { pages as documents } from "./pages.ts";

const docs = fileURLToPath(new URL("../../docs/", import.meta.url));
const pages = ["../README.md", ...documents.map(({ path }) => path)];
const examples = pages.flatMap((page) =>
  [...readFileSync(docs + page, "utf8").matchAll(/```yaml\n(.*?)```/gs)].map(
    ([, text], index) => [`${page}, ${index + 1}`, text!] as const,
  ),
);

let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await Sandbox.create();
  await mkdir(join(sandbox.folder, "secrets"));
  for (const name of ["shop", "warehouse"]) await writeFile(join(sandbox.folder, "secrets", name), "hunter2\n");
  // The source of one's own that the pages are about.
  await mkdir(join(sandbox.folder, "weather"));
  await writeFile(
    join(sandbox.folder, "weather", "source.ts"),
    `import { defineSource, z } from "headwaters";
     export default defineSource({
       name: "weather",
       configuration: z.object({ station: z.string(), token: z.string() }),
       schema: { readings: { key: ["id"] } },
       async *update() {},
     });`,
  );
});

afterAll(() => sandbox[Symbol.asyncDispose]());

test.each(examples.filter(([, text]) => text.includes("connections:")))(
  "the configuration of %s works",
  async (_, text) => {
    const connections = await sandbox.load({ "headwaters.yaml": text });
    expect(connections.length).toBeGreaterThan(0);
  },
);
