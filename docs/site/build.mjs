// Builds the site of the documents into `build/docs`. The pages are those that people read in the repository; here their
// links are turned to where each page stands in the site. The site needs no network, and the end of this file checks it.
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vitepress";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = fileURLToPath(new URL("../..", import.meta.url));
const staged = join(here, "pages");
const built = join(root, "build", "docs");

/** The files below a folder whose names end so, from the root of the repository. */
async function filesIn(folder, end) {
  const names = await readdir(join(root, folder), { recursive: true });
  return names
    .map((name) => posix.join(folder, name.replaceAll("\\", "/")))
    .filter((name) => name.endsWith(end) && !name.startsWith("docs/site/"));
}

/** Where a page of the repository stands in the site. */
function placeOf(page) {
  return page
    .replace(/^docs\//, "")
    .replace(/^src\/(sources|destinations)\/(\w+)\/README\.md$/, "$1/$2.md")
    .replace(/^(ARCHITECTURE|CONTRIBUTING|CHANGELOG)\.md$/, (name) => name.toLowerCase())
    .replace(/README\.md$/, "index.md");
}

const pages = [
  ...(await filesIn("docs", ".md")),
  ...(await filesIn("src/sources", "/README.md")),
  ...(await filesIn("src/destinations", "/README.md")),
  ...(await filesIn("examples", "/README.md")),
  ...["ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"],
];
const places = new Map(pages.map((page) => [page, placeOf(page)]));
const pictures = [...(await filesIn("docs", ".svg")), ...(await filesIn("docs", ".png"))];
for (const picture of pictures) places.set(picture, placeOf(picture));

/** A page whose links lead to pages of the site. What is not in the site is named and not linked. */
function linked(page, text) {
  const parts = text.split(/(^```.*?^```$)/gms);
  return parts.map((part, index) => (index % 2 === 1 ? part : relinked(page, part))).join("");
}

function relinked(page, text) {
  return text.replaceAll(/(!?)\[([^\]]*)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)/g, (_, picture, name, path, anchor = "") => {
    const target = places.get(posix.join(posix.dirname(page), path));
    if (target === undefined) return name;
    const way = posix.relative(posix.dirname(places.get(page)), target);
    return `${picture}[${name}](${way.startsWith(".") ? way : `./${way}`}${anchor})`;
  });
}

await rm(staged, { recursive: true, force: true });
for (const [from, to] of places) {
  const target = join(staged, to);
  await mkdir(dirname(target), { recursive: true });
  if (from.endsWith(".md")) await writeFile(target, linked(from, await readFile(join(root, from), "utf8")));
  else await copyFile(join(root, from), target);
}

await build(here);

// Nothing in the site is loaded from elsewhere, each page is there, and so is the index of the search.
const written = (await readdir(built, { recursive: true })).map((name) => name.replaceAll("\\", "/"));
const missing = [...places.values()]
  .filter((place) => place.endsWith(".md"))
  .map((place) => place.replace(/\.md$/, ".html"))
  .filter((place) => !written.includes(place));
const loads = /<(?:script|img|iframe)[^>]* src="https?:|<link[^>]* href="https?:|url\(["']?https?:|@import "https?:/;
const foreign = [];
for (const name of written.filter((file) => /\.(html|css)$/.test(file)))
  if (loads.test(await readFile(join(built, name), "utf8"))) foreign.push(name);
// Headings that links name.
const dead = [];
for (const place of [...places.values()].filter((name) => name.endsWith(".md"))) {
  const text = (await readFile(join(staged, place), "utf8")).replaceAll(/^```.*?^```$/gms, "");
  for (const [, path, anchor] of text.matchAll(/\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)/g)) {
    const target = path === "" ? place : posix.join(posix.dirname(place), path);
    const page = await readFile(join(built, target.replace(/\.md$/, ".html")), "utf8");
    if (!page.includes(`id="${anchor}"`)) dead.push(`${place}: ${path}#${anchor}`);
  }
}
const searched = written.some((name) => name.includes("localSearchIndex"));
if (missing.length > 0 || foreign.length > 0 || dead.length > 0 || !searched) {
  throw new Error(`the site is not whole: ${JSON.stringify({ missing, foreign, dead, searched })}`);
}
