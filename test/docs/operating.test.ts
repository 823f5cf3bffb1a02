import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { Redactor } from "../../src/cli/redact.ts";
import { loadService } from "../../src/cli/up/load-service.ts";
import { alertKinds } from "../../src/service/settings.ts";
import { describeWith, MissingServer } from "../servers/require.ts";

const run = promisify(execFile);
const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

async function startAnalyzer(): Promise<AsyncDisposable> {
  await run("systemd-analyze", ["--version"]).catch((error: Error) => {
    throw new MissingServer(`systemd-analyze can't be run: ${error.message.split("\n")[0]}`);
  });
  return { [Symbol.asyncDispose]: async () => {} };
}

await describeWith(startAnalyzer, "units of systemd in the docs", () => {
  test.each(["docs/operating/service.md", "docs/how-to/schedule.md"])("%s", async (page) => {
    const units = [...read(page).matchAll(/```ini\n# \/etc\/systemd\/system\/(\S+)\n(.*?)```/gs)];
    expect(units.length).toBeGreaterThan(0);
    const folder = await mkdtemp(join(tmpdir(), "headwaters-units-"));
    try {
      for (const [, name, text] of units)
        await writeFile(join(folder, name!), text!.replace("/usr/local/bin/headwaters", process.execPath));
      const paths = units.map(([, name]) => join(folder, name!));
      const { stderr } = await run("systemd-analyze", ["verify", "--man=no", ...paths]);
      // Of units of the machine it says more.
      expect(stderr.split("\n").filter((line) => line.includes("headwaters"))).toEqual([]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: {
    readonly replicas?: number;
    readonly selector?: unknown;
    readonly template: { readonly metadata: { readonly labels: unknown }; readonly spec: Pod };
    readonly volumeClaimTemplates: readonly { readonly metadata: { readonly name: string } }[];
  };
}

interface Pod {
  readonly volumes: readonly { readonly name: string }[];
  readonly containers: readonly {
    readonly args: readonly string[];
    readonly env: readonly { readonly name: string }[];
    readonly ports: readonly { readonly containerPort: number }[];
    readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  }[];
}

test("the manifest for Kubernetes fits together, and its file of connections works", async () => {
  const documents = parseAllDocuments(read("examples/kubernetes/headwaters.yaml"));
  expect(documents.flatMap(({ errors }) => errors)).toEqual([]);
  const manifests = documents.map((document) => document.toJS() as Manifest);
  expect(manifests.map(({ kind }) => kind)).toEqual(["ConfigMap", "Service", "StatefulSet"]);
  const [configuration, service, set] = manifests as [Manifest, Manifest, Manifest];
  const { spec } = set;
  expect(spec!.replicas).toBe(1);
  expect(service.spec!.selector).toEqual(spec!.template.metadata.labels);
  expect(spec!.selector).toEqual({ matchLabels: spec!.template.metadata.labels });
  const [container] = spec!.template.spec.containers as [Pod["containers"][number]];
  expect(container.args[0]).toBe("up");
  expect(container.ports[0]!.containerPort).toBe(7717);
  const volumes = [...spec!.template.spec.volumes, ...spec!.volumeClaimTemplates.map(({ metadata }) => metadata)];
  expect(container.volumeMounts.map(({ name }) => name).toSorted()).toEqual(volumes.map(({ name }) => name).toSorted());
  const text = configuration.data!["headwaters.yaml"]!;
  const asked = new Set([...text.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name));
  expect([...asked].toSorted()).toEqual(
    container.env
      .map(({ name }) => name)
      .filter((name) => name !== "HEADWATERS_STATE")
      .toSorted(),
  );
  const folder = await mkdtemp(join(tmpdir(), "headwaters-manifest-"));
  try {
    await writeFile(join(folder, "headwaters.yaml"), text);
    const variables = { SHOP_PASSWORD: "secret", HEADWATERS_TOKEN: "a-token-that-is-long" };
    const loaded = await loadService({ file: undefined, folder, variables, redactor: new Redactor([]), flags: {} });
    expect(loaded.settings).toMatchObject({ tls: "proxy", token: variables.HEADWATERS_TOKEN });
    expect(loaded.connections).toMatchObject([{ name: "shop", error: null, copies: expect.any(String) as string }]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("what to do is said for every alert", () => {
  const page = read("docs/operating/service.md");
  expect(alertKinds.filter((kind) => !page.includes(`| \`${kind}\` |`))).toEqual([]);
});
