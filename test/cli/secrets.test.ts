import { execFileSync } from "node:child_process";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { runCli } from "./run-cli.ts";
import { Sandbox, told } from "./sandbox.ts";

const configuration = (secret: string): string =>
  `connections:\n  c:\n    source: { type: rethinkdb, host: h, database: d, password: ${secret} }\n    destination: duckdb:w.duckdb\n`;

describe("a file .env beside headwaters.yaml", () => {
  async function check(env: string, environment: NodeJS.ProcessEnv = {}) {
    const folder = await mkdtemp(join(tmpdir(), "headwaters-env-"));
    try {
      await writeFile(join(folder, ".env"), env);
      await writeFile(join(folder, "headwaters.yaml"), configuration("${PW}").replace("host: h", 'host: "${HOST}"'));
      // From another folder, since the file counts that is beside the connections.
      return await runCli(["check", "--file", join(folder, "headwaters.yaml")], { folder: tmpdir(), environment });
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  test("has variables, and none of its secrets is shown", async () => {
    const { out, error } = await check('HOST="no-such-host.invalid"\nPW=hunter2-hunter2 # a comment\n');
    expect(out + error).toContain("no-such-host.invalid");
    expect(out + error).not.toContain("hunter2");
    const wrong = await check("HOST=hunter2-hunter2.invalid\nPW=hunter2-hunter2\n");
    expect(wrong.out + wrong.error).toContain("***.invalid");
  });

  test("never overrides the environment", async () => {
    const { out } = await check("HOST=no-such-host.invalid\nPW=x", { HOST: "other-host.invalid" });
    expect(out).toContain("other-host.invalid");
    expect(out).not.toContain("no-such-host");
  });

  test("without the variable, the message names the file", async () => {
    expect((await check("HOST=h")).error).toContain("Set it (export PW=…), write it into .env");
  });
});

describe("addresses (case 24)", () => {
  test.each([
    [
      "postgresql://reader:p%40ss@db.example:5433/shop?sslmode=require",
      "postgresql",
      { host: "db.example", port: 5433, user: "reader", password: "p@ss", database: "shop", sslmode: "require" },
    ],
    ["postgres://reader@h/d", "postgresql", { host: "h", port: 5432, user: "reader", password: "", database: "d" }],
    ["yugabytedb://reader@h/d", "yugabytedb", { port: 5433, database: "d" }],
    ["postgres://u:p@ss/w?rd@[::1]/d", "postgresql", { host: "::1", user: "u", password: "p@ss/w?rd", database: "d" }],
    ["rediss://u:hunter2@h/3", "redis", { host: "h", port: 6379, username: "u", database: 3, ssl: true }],
    ["valkey://h", "valkey", { host: "h", ssl: false, database: 0 }],
    ["cassandra://u:hunter2@a,b:9043/metrics", "cassandra", { hostname: "a,b", port: 9043, keyspace: "metrics" }],
    ["scylladb://a/metrics", "scylladb", { host_1: "a", keyspace: "metrics" }],
    ["rethinkdb://h:28016/app", "rethinkdb", { host: "h", port: 28_016, database: "app" }],
  ])("%s is a source, on the command line and in the file", async (address, type, settings) => {
    await using sandbox = await Sandbox.create();
    const [flag] = await sandbox.load({}, { source: address });
    expect(flag!.source).toMatchObject({ definition: { name: type }, configuration: settings });
    const file = `connections:\n  c:\n    source: ${JSON.stringify(address)}\n    destination: duckdb:w.duckdb\n`;
    const [entry] = await sandbox.load({ "headwaters.yaml": file });
    expect(entry!.source).toEqual(flag!.source);
  });

  test("a variable gives the password, and none of the messages has it", async () => {
    await using sandbox = await Sandbox.create();
    const [connection] = await sandbox.load({}, { source: "postgres://u:${YB_PASSWORD}@h/d" });
    expect(connection!.source.configuration).toMatchObject({ password: "hunter2" });
    expect(sandbox.redactor.text("hunter2")).toBe("***");
  });

  test.each([
    "mysql://u:hunter2@h/d",
    "postgresql://u:hunter2@h:port:5/d",
    "postgres://u:hunter2@h/d?prot=1",
    "postgres://u:hunter2@/d",
  ])("%s is refused, and its password is not repeated", async (address) => {
    await using sandbox = await Sandbox.create();
    expect(await told(sandbox.load({}, { source: address }))).not.toContain("hunter2");
    for (const argv of [
      ["check", address, "duckdb:w.duckdb"],
      ["sync", "--source", address],
      ["status", "--source", address],
    ]) {
      const { code, out, error } = await runCli(argv, { folder: sandbox.folder });
      expect(code).toBe(2);
      expect(out + error).not.toContain("hunter2");
    }
    const yaml = `connections:\n  c:\n    source: { type: "${address}" }\n    destination: duckdb:w.duckdb\n`;
    await writeFile(join(sandbox.folder, "headwaters.yaml"), yaml);
    const { code, out, error } = await runCli(["sync"], { folder: sandbox.folder });
    expect(code).toBe(2);
    expect(out + error).not.toContain("hunter2");
  });

  test("a scheme that nearly is one is named", async () => {
    await using sandbox = await Sandbox.create();
    expect(await told(sandbox.load({}, { source: "postgrsql://h/d" }))).toContain("Did you mean postgresql://?");
  });
});

describe.skipIf(process.platform === "win32")("secrets and files (case 25)", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "headwaters-secrets-"));
    return () => rm(folder, { recursive: true });
  });

  async function check(secret: string): Promise<string> {
    await writeFile(join(folder, "headwaters.yaml"), configuration(secret));
    return (await runCli(["check"], { folder })).error;
  }

  test("a file or a command that gives no end is a clear error", async () => {
    expect(await check("{ file: /dev/zero }")).toContain("can't be read from the file /dev/zero: it does not end");
    expect(await check("{ command: [cat, /dev/zero] }")).toContain("the command cat: it gave more than 1 MiB");
  });

  test("a pipe is read once somebody writes to it", async () => {
    const pipe = join(folder, "pipe");
    execFileSync("sh", ["-c", `mkfifo "${pipe}"`]);
    const sandbox = new Sandbox(folder);
    const loaded = sandbox.load({ "headwaters.yaml": configuration("{ file: pipe }") });
    setTimeout(() => writeFile(pipe, "from a pipe\n"), 100);
    expect((await loaded)[0]!.source.configuration).toMatchObject({ password: "from a pipe" });
  });

  test("what holds rows is for its owner alone", async () => {
    await writeFile(
      join(folder, "s.ts"),
      `import { defineSource } from "headwaters";
       export default defineSource({ name: "s", schema: { t: { key: ["id"], columns: { id: "LONG" } } },
         async *update({ upsert, checkpoint }) { yield upsert("t", { id: 1 }); yield checkpoint({}); } });`,
    );
    const before = process.umask(0o022);
    try {
      for (const argv of [
        ["run", "s.ts"],
        ["export", "parquet", "--source", "./s.ts", "--to", "out"],
      ]) {
        const { code, error } = await runCli(argv, { folder });
        expect(error).toBe("");
        expect(code).toBe(0);
      }
    } finally {
      process.umask(before);
    }
    const files = await readdir(folder, { recursive: true, withFileTypes: true });
    const written = files.filter((file) => file.isFile() && file.name !== "s.ts");
    expect(written.map(({ name }) => name)).toContain("t.parquet");
    for (const { parentPath, name } of written) {
      expect([name, (await stat(join(parentPath, name))).mode & 0o077]).toEqual([name, 0]);
    }
  });
});
