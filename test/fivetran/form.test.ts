import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { expect, test } from "vitest";
import { serveSource } from "../../src/cli/serve-source.ts";
import { Output } from "../../src/cli/output.ts";
import { Redactor } from "../../src/cli/redact.ts";
import { configurationForm } from "../../src/fivetran/form.ts";
import { testSource } from "../../src/fivetran/test-source.ts";
import { servedSource } from "../../src/cli/served-source.ts";
import { sources } from "../../src/sources/index.ts";
import { Pipe } from "../cli/screen.ts";

test("a port that is taken is a SEVERE line in the log's form (case 49)", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  try {
    const [out, error] = [new Pipe(), new Pipe()];
    const output = new Output(out, error, {}, new Redactor());
    const at = { host: "127.0.0.1", port: String((taken.address() as AddressInfo).port), debug: false };
    const definition = await sources["redis"]!.load();
    await expect(serveSource(definition, at, output, new AbortController().signal)).rejects.toMatchObject({
      code: "CONFIGURATION_INVALID",
    });
    expect(JSON.parse(out.text)).toMatchObject({ level: "SEVERE", message: expect.stringContaining("can't listen") });
  } finally {
    taken.close();
  }
});

test("a test that the form does not offer fails (case 50)", async () => {
  const served = servedSource(await sources["redis"]!.load(), new Redactor());
  const silent = { debug() {}, info() {}, warn() {} };
  const signal = new AbortController().signal;
  expect(await testSource(served, "nonsense", { host: "127.0.0.1" }, silent, signal)).toMatch(
    /there is no test "nonsense"/,
  );
});

test.each(Object.keys(sources))(
  "%s: private keys are passwords in the form, and every field has a label (case 50)",
  async (name) => {
    const { fields } = configurationForm(servedSource(await sources[name]!.load(), new Redactor())) as {
      fields: { name: string; label: string; textField?: string }[];
    };
    for (const field of fields) {
      expect(field.label).not.toBe("");
      if (/key(_file)?$/.test(field.name) && !/access/.test(field.name))
        expect(field).toMatchObject({ textField: "Password" });
    }
    expect(fields.filter((field) => field.label === field.name).map((field) => field.name)).toEqual([]);
  },
);
