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

interface Field {
  readonly name: string;
  readonly label: string;
  readonly textField?: string;
  readonly toggleField?: object;
  readonly dropdownField?: { readonly dropdownField: readonly string[] };
  readonly conditionalFields?: {
    readonly condition: {
      readonly conditionField: string;
      readonly boolValue?: boolean;
      readonly stringValue?: string;
    };
    readonly fields: readonly Field[];
  };
}

test.each(Object.keys(sources))(
  "%s: what matters only with another setting is shown only with it (case 50)",
  async (name) => {
    const { settings, ...served } = servedSource(await sources[name]!.load(), new Redactor());
    const { fields } = configurationForm({ settings, ...served }) as { fields: Field[] };
    const conditional = fields.flatMap(({ conditionalFields }) => conditionalFields ?? []);
    expect(conditional.length).toBeGreaterThan(0);
    for (const { condition, fields: shown } of conditional) {
      // It names a field that is always shown, and a value that this field can have.
      const decides = fields.find((field) => field.name === condition.conditionField)!;
      if (condition.boolValue === undefined)
        expect(decides.dropdownField!.dropdownField).toContain(condition.stringValue);
      else expect(decides.toggleField).toBeDefined();
      expect(shown.length).toBeGreaterThan(0);
      for (const { name: hidden } of shown) expect(settings.find((one) => one.name === hidden)!.required).toBe(false);
    }
    const names = fields.flatMap((field) => field.conditionalFields?.fields ?? [field]).map((field) => field.name);
    expect(names).toEqual(expect.arrayContaining(settings.map((setting) => setting.name)));
    expect(new Set(names).size).toBe(names.length);
  },
);

test.each(Object.keys(sources))(
  "%s: private keys are passwords in the form, and every field has a label (case 50)",
  async (name) => {
    const form = configurationForm(servedSource(await sources[name]!.load(), new Redactor())) as { fields: Field[] };
    const fields = form.fields.flatMap((field) => field.conditionalFields?.fields ?? [field]);
    for (const field of fields) {
      expect(field.label).not.toBe("");
      if (/key(_file)?$/.test(field.name) && !/access/.test(field.name))
        expect(field).toMatchObject({ textField: "Password" });
    }
    expect(fields.filter((field) => field.label === field.name).map((field) => field.name)).toEqual([]);
  },
);
