import { execFileSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { definition } from "../../src/sources/yugabytedb/index.ts";
import { type PostgresqlServer, runSql, startPostgresql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { findGrpcurl, type Grpcurl } from "./grpcurl.ts";
import { ServeProcess } from "./serve-process.ts";
import { serve } from "./serving.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const grpcurl = await findGrpcurl().catch((error: Error) => error);

await describeWith(
  async () => {
    if (grpcurl instanceof Error) throw grpcurl;
    return startPostgresql();
  },
  "Fivetran's side from a shell",
  (server) => suite(server, grpcurl as Grpcurl),
);

function suite(server: PostgresqlServer, call: Grpcurl): void {
  const { host, port, database, user, password } = server;
  const configuration = { host, port: String(port), database, user, password };

  beforeAll(async () => {
    await runSql(
      server.connectionString,
      `CREATE TABLE devices (id bigint PRIMARY KEY, name text, price numeric(12, 2), at timestamptz, tags jsonb);
       INSERT INTO devices VALUES (1, 'one', 1.50, '2026-01-02 03:04:05.678901Z', '["a"]'), (2, NULL, -7, NULL, NULL)`,
    );
  });

  /** What everyone who serves the source must answer. */
  async function expectToServe(address: string): Promise<void> {
    const [form] = await call(address, "ConfigurationForm", {});
    expect(form).toMatchObject({ schemaSelectionSupported: true, tableSelectionSupported: true });
    expect(form!["fields"]).toContainEqual(expect.objectContaining({ name: "password", textField: "Password" }));
    expect(form!["fields"]).toContainEqual(expect.objectContaining({ name: "load_balance", toggleField: {} }));
    expect(form!["fields"]).toContainEqual(
      expect.objectContaining({ name: "read", dropdownField: { dropdownField: ["copy", "cursor"] } }),
    );
    expect(form!["tests"]).toContainEqual({ name: "privileges", label: "Read every table" });
    expect(await call(address, "Test", { name: "privileges", configuration })).toEqual([{ success: true }]);

    const price = { name: "price", type: "DECIMAL", params: { decimal: { precision: 12, scale: 2 } } };
    const columns = [
      { name: "id", type: "LONG", primaryKey: true },
      { name: "name", type: "STRING" },
      price,
      { name: "at", type: "UTC_DATETIME" },
      { name: "tags", type: "JSON" },
    ];
    const described = { schemas: [{ name: "public", tables: [{ name: "devices", columns }] }] };
    expect(await call(address, "Schema", { configuration })).toEqual([{ withSchema: described }]);

    const messages = await call(address, "Update", { configuration });
    expect(messages[0]).toMatchObject({ schemaChange: { withSchema: described } });
    const record = { schemaName: "public", tableName: "devices" };
    const sent = messages.flatMap(({ records }) => (records as { records: object[] } | undefined)?.records ?? []);
    expect(sent).toEqual([
      { ...record, type: "TRUNCATE" },
      {
        ...record,
        data: {
          id: { long: "1" },
          name: { string: "one" },
          price: { decimal: "1.50" },
          at: { utcDatetime: "2026-01-02T03:04:05.678901Z" },
          tags: { json: '["a"]' },
        },
      },
      {
        ...record,
        data: {
          id: { long: "2" },
          name: { null: true },
          price: { decimal: "-7.00" },
          at: { null: true },
          tags: { null: true },
        },
      },
    ]);
    expect(messages.at(-1)).toHaveProperty("checkpoint.stateJson");
  }

  test("grpcurl sees what the protocol says", async () => {
    await using serving = await serve(definition);
    await expectToServe(serving.address);
  });

  test("the single executable does the same, and ends when it is told to", { timeout: 300_000 }, async () => {
    execFileSync(process.execPath, ["scripts/executable.mjs", "yugabytedb"], { cwd: root, stdio: "ignore" });
    const suffix = process.platform === "win32" ? ".exe" : "";
    const file = `${root}build/headwaters-yugabytedb-${process.platform}-${process.arch}${suffix}`;
    await using running = await ServeProcess.start(file, []);
    await expectToServe(running.address);
    expect(await running.stop()).toBe(0);
    expect(running.lines[0]).toContain('"message-origin":"sdk_connector"');
  });
}
