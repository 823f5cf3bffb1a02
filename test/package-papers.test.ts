import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { built } from "./built.ts";

interface Component {
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly licenses: readonly { readonly expression: string }[];
}

interface Manifest {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

interface Lock {
  readonly packages: Readonly<Record<string, { readonly version: string; readonly license?: string }>>;
}

async function json<Content>(file: string | URL): Promise<Content> {
  return JSON.parse(await readFile(file, "utf8")) as Content;
}

describe("the papers of what is bundled", async () => {
  const manifest = await json<Manifest>(new URL("../package.json", import.meta.url));
  const { components, ...bill } = await json<{ readonly components: readonly Component[] }>(built("sbom.cdx.json"));

  test("the bill of materials is of this version", () => {
    expect(bill).toMatchObject({
      bomFormat: "CycloneDX",
      specVersion: "1.6",
      metadata: { component: { name: "headwaters", version: manifest.version } },
    });
  });

  test("it has each bundled package in a version of the lockfile", async () => {
    const { packages } = await json<Lock>(new URL("../package-lock.json", import.meta.url));
    const locked = new Set(
      Object.entries(packages).map(
        ([path, { version, license }]) => `${path.split("node_modules/").at(-1)}@${version} ${license}`,
      ),
    );
    const found = components.map(({ name, version, licenses }) => `${name}@${version} ${licenses[0]!.expression}`);
    expect(found.filter((text) => !locked.has(text))).toEqual([]);
    const names = components.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["commander", "pg", "yaml", "protobufjs"]));
    for (const { name, version, purl } of components)
      expect(purl).toBe(`pkg:npm/${name.replace("@", "%40")}@${version}`);
  });

  test("nothing is both bundled and installed with it", () => {
    const names = new Set(components.map(({ name }) => name));
    expect(Object.keys(manifest.dependencies).filter((name) => names.has(name))).toEqual([]);
  });

  test("LICENSES.txt has the licence of each", async () => {
    const text = await readFile(built("LICENSES.txt"), "utf8");
    for (const { name, version, licenses } of components) {
      expect(text).toContain(`${name} ${version}, ${licenses[0]!.expression}\n`);
    }
    expect(text).not.toMatch(/\b(?:undefined|null|\[object)\b/);
  });
});
