import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { expect, test } from "vitest";
import { definition } from "../../../src/destinations/ducklake/index.ts";
import { context, fill, holding, rejectsWith, sync, things, upsert } from "../../conformance/destination/steps.ts";
import { duckdbExtensions } from "../../servers/duckdb-extensions.ts";
import { launchMoto } from "../../../src/servers/moto.ts";
import { describeWith, orMissing } from "../../servers/require.ts";
import { LakeHarness } from "./harness.ts";

async function lakeStorage() {
  const { folder: extensions } = await duckdbExtensions();
  const server = await orMissing(launchMoto());
  return { extensions, server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

const secrets = { s3_secret_access_key: "Geheim-Schlüssel-1", s3_session_token: "Geheim-Zeichen-2" };

await describeWith(lakeStorage, "a lake whose files are on S3", ({ extensions, server }) => {
  const settings = (place: string): Readonly<Record<string, unknown>> => ({
    data: `s3://${server.bucket}/${place}`,
    s3_endpoint: server.endpoint,
    s3_access_key_id: "key-1",
    ...secrets,
  });

  test("is written, changed and read back; nothing is kept beside the catalog, and no secret in it", async () => {
    await using harness = await LakeHarness.make({ extensions, settings: settings("some/prefix") });
    const said: string[] = [];
    const tell = (message: string): void => void said.push(message);
    const log = { debug: tell, info: tell, warn: tell };
    const cells = Array.from({ length: 20_000 }, (_, id) => [BigInt(id), `thing ${id}`, 1] as const);
    await fill(harness, things, cells, { log });
    await sync(harness, { tables: [things], kind: "window", sync: 2, given: { log } }, [
      upsert(things, [7n, "seven", 2]),
    ]);
    await holding(harness, async (warehouse) => expect(await warehouse.count("things")).toBe(20_000));
    await using checked = await harness.open();
    for await (const { name, status, message } of checked.check(new AbortController().signal))
      expect([name, status], message).toEqual([name, "ok"]);
    await checked[Symbol.asyncDispose]();

    expect(await readdir(harness.folder)).toEqual(["copy.ducklake"]);
    const catalog = await readFile(join(harness.folder, "copy.ducklake"));
    for (const secret of Object.values(secrets)) {
      expect(catalog.includes(secret)).toBe(false);
      expect(said.join("\n")).not.toContain(secret);
    }
    const seen = await readWith(
      harness,
      `SELECT count(*)::INTEGER AS n, max(name) FILTER (id = 7) AS name FROM copy.s.things`,
    );
    expect(seen).toEqual([{ n: 20_000, name: "seven" }]);
  });

  test("that can't be reached, or has no such bucket, says why, without the secret", async () => {
    await using harness = await LakeHarness.make({ extensions });
    const opened = (more: Readonly<Record<string, unknown>>) =>
      definition.open(definition.configuration.parse({ ...harness.settings, ...more }), context(), { create: true });
    const write = async (more: Readonly<Record<string, unknown>>, catalog: string): Promise<void> => {
      const place = { ...settings("x"), ...more, catalog: join(harness.folder, catalog) };
      const nothing = { readBack: async () => null, comments: async () => ({}), tamper: async () => {} };
      const here = { open: () => opened(place), ...nothing };
      await fill({ ...here, [Symbol.asyncDispose]: async () => {} }, things, [[1n, "one", 1]]);
    };
    const errors = [
      await rejectsWith("DESTINATION_UNUSABLE", write({ data: "s3://nowhere/x" }, "a.ducklake"), "data"),
      await rejectsWith("CONNECTION_REFUSED", write({ s3_endpoint: "http://127.0.0.1:1" }, "b.ducklake"), "data"),
    ];
    for (const { message, hint, cause } of errors) {
      for (const secret of Object.values(secrets)) expect(`${message} ${hint} ${String(cause)}`).not.toContain(secret);
    }
  });

  /** By plain DuckDB. */
  async function readWith(harness: LakeHarness, sql: string): Promise<unknown[]> {
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    try {
      const [load, attach] = await harness.attaching("copy");
      const host = new URL(server.endpoint).host;
      for (const statement of [
        load!,
        load!.replaceAll("ducklake", "httpfs"),
        `CREATE SECRET (TYPE s3, KEY_ID 'a', SECRET 'b', ENDPOINT '${host}', URL_STYLE 'path', USE_SSL false)`,
        attach!,
      ])
        await connection.run(statement);
      return (await connection.runAndReadAll(sql)).getRowObjects();
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  }
});
