import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCli } from "../cli/run-cli.ts";
import { runSql, startPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { words } from "./pages.ts";

const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");

/** The lines of README's blocks of commands, without comments. */
const lines = [...readme.matchAll(/```sh\n(.*?)```/gs)]
  .flatMap(([, block]) => block!.split("\n"))
  .map((line) => line.replace(/\s+#.*$/, "").trim())
  .filter((line) => line !== "");

/** Run elsewhere: the demo, the suites, the installation (`test/package.server.test.ts`), the scaffold and its run. */
const elsewhere = /^npm |^headwaters (init source|run) /;

const [, yaml] = /```yaml\n(# headwaters\.yaml\n.*?)```/s.exec(readme)!;

await describeWith(startPostgresql, "README", ({ host, port, database, user, password, connectionString }) => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "headwaters-readme-"));
    await runSql(
      connectionString,
      "CREATE TABLE devices (id int PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT now()); INSERT INTO devices VALUES (1)",
    );
    await writeFile(
      join(folder, "configuration.json"),
      JSON.stringify({ host, port: String(port), database, user, password }),
    );
  });

  afterAll(() => rm(folder, { recursive: true }));

  /** README's own text, but for the address of the server and who logs in. */
  function here(text: string): string {
    return text
      .replace("host: localhost", `host: ${host}\n      port: ${port}`)
      .replace("database: iot", `database: ${database}`)
      .replace("user: reader", `user: ${user}`)
      .replace("reader:${YB_PASSWORD}@localhost/iot", `${user}:\${YB_PASSWORD}@${host}:${port}/${database}`);
  }

  const commands = lines.filter((line) => !elsewhere.test(line));

  test("has only commands that a test runs", () => {
    expect(commands.filter((line) => !line.startsWith("headwaters "))).toEqual([]);
    expect(commands.length).toBeGreaterThan(8);
  });

  test.each(commands)("%s", async (line) => {
    const { code, error } = await runCli(words(here(line)), { folder, environment: { YB_PASSWORD: password } });
    expect([code, error.replaceAll(/^.* (info|warn) .*\n/gm, "")]).toEqual([0, ""]);
    // What the reader does with the file that `init` has made.
    if (line === "headwaters init") await writeFile(join(folder, "headwaters.yaml"), here(yaml!));
  });
});
