import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folders = ["src", "docs", "test", "bench", "examples"].filter((folder) => existsSync(join(root, folder)));
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith(".md")),
  ...folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .map((name) => join(folder, name))
      .filter((name) => name.endsWith(".md") && !name.startsWith(join("docs", "site"))),
  ),
];

/** What GitHub and the site call the headings of a page. */
function anchorsOf(page: string): ReadonlySet<string> {
  const text = readFileSync(join(root, page), "utf8").replaceAll(/^```.*?^```$/gms, "");
  const anchors = new Set<string>();
  for (const [, title] of text.matchAll(/^#{1,6} (.+)$/gm)) {
    const plain = title!.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1");
    const anchor = plain
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, "")
      .replaceAll(" ", "-");
    let own = anchor;
    for (let number = 1; anchors.has(own); number++) own = `${anchor}-${number}`;
    anchors.add(own);
  }
  return anchors;
}

/** Why a link of a page leads nowhere; `null`: it does not. */
function deadLink(page: string, link: string): string | null {
  const [path = "", anchor] = link.split("#");
  const target = path === "" ? page : join(dirname(page), path);
  if (!existsSync(join(root, target))) return `${link}: no such file`;
  if (anchor === undefined || !target.endsWith(".md") || anchorsOf(target).has(anchor)) return null;
  return `${link}: no such heading`;
}

test.each(pages)("every page and heading that %s links to is there", (page) => {
  const text = readFileSync(join(root, page), "utf8").replaceAll(/^```.*?^```$/gms, "");
  const links = [...text.matchAll(/\]\((?!https?:|mailto:)([^)\s]+)/g)].map((found) => found[1]!);
  expect(links.flatMap((link) => deadLink(page, link) ?? [])).toEqual([]);
});

test("the site's list of pages has every page of the docs", () => {
  const listed = readFileSync(join(root, "docs/site/.vitepress/config.mjs"), "utf8");
  const places = pages
    .filter((page) => page.startsWith("docs"))
    .map((page) => `/${page.slice("docs/".length).replace(/(README)?\.md$/, "")}`);
  expect(places).toContain("/how-to/many-machines");
  expect(places.filter((place) => !listed.includes(`"${place}"`))).toEqual([]);
});

test("every page of the docs can be reached from README", () => {
  const reached = new Set<string>(["README.md"]);
  for (const page of reached) {
    const text = readFileSync(join(root, page), "utf8");
    for (const [, link] of text.matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+\.md)/g))
      reached.add(join(dirname(page), link!));
  }
  expect(pages.filter((page) => page.startsWith("docs") && !reached.has(page))).toEqual([]);
});
