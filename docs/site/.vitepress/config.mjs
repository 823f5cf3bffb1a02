import { defineConfig } from "vitepress";

const page = (text, link) => ({ text, link });

/** The name of a heading in links, as GitHub makes it. */
function slugify(title) {
  return title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, "")
    .replaceAll(" ", "-");
}

// oxlint-disable-next-line import/no-default-export -- VitePress asks for it
export default defineConfig({
  title: "Headwaters",
  description: "An exact copy of a database in a warehouse, and the proof.",
  srcDir: "pages",
  outDir: "../../build/docs",
  cacheDir: "node_modules/.vitepress",
  head: [["link", { rel: "icon", href: "data:," }]],
  vite: { build: { chunkSizeWarningLimit: 3000 } },
  markdown: {
    anchor: { slugify },
    languageAlias: { redis: "sh" },
    config(markdown) {
      const fence = markdown.renderer.rules.fence;
      markdown.renderer.rules.fence = (tokens, index, ...rest) => {
        const { info, content } = tokens[index];
        if (info.trim() !== "mermaid") return fence(tokens, index, ...rest);
        return `<Mermaid code="${encodeURIComponent(content)}" />`;
      };
    },
  },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    nav: [
      page("Quick start", "/quick-start/"),
      page("Concepts", "/concepts"),
      page("Reference", "/reference/"),
      page("Operating", "/operating/"),
    ],
    sidebar: [
      {
        text: "Start",
        items: [
          page("Overview", "/"),
          page("Quick start", "/quick-start/"),
          ...[
            ["PostgreSQL", "/quick-start/postgresql"],
            ["YugabyteDB", "/quick-start/yugabytedb"],
            ["Cassandra", "/quick-start/cassandra"],
            ["ScyllaDB", "/quick-start/scylladb"],
            ["RethinkDB", "/quick-start/rethinkdb"],
            ["Redis and Valkey", "/quick-start/redis"],
            ["DragonflyDB", "/quick-start/dragonflydb"],
          ].map(([text, link]) => page(`… ${text}`, link)),
          page("Concepts", "/concepts"),
          page("Comparison", "/comparison"),
        ],
      },
      {
        text: "How to",
        items: [
          page("Choose tables and columns", "/how-to/tables-and-columns"),
          page("Handle deletes", "/how-to/deletes"),
          page("Query the copy", "/how-to/query-the-copy"),
          page("Handle schema changes", "/how-to/schema-changes"),
          page("Prove a copy", "/verify"),
          page("Run as a service", "/up"),
          page("The page of the service", "/page"),
          page("Schedule syncs", "/how-to/schedule"),
          page("Many connections", "/how-to/many-connections"),
          page("Many machines", "/how-to/many-machines"),
          page("Follow changes", "/following"),
          page("A source of your own", "/sdk"),
          page("Under Fivetran", "/fivetran"),
          page("Move from Fivetran's examples", "/how-to/from-fivetran"),
          page("Move from a Python connector", "/moving-from-python"),
          page("Move from Airbyte", "/how-to/from-airbyte"),
          page("Move from dlt", "/how-to/from-dlt"),
        ],
      },
      {
        text: "Reference",
        items: [
          page("All of the reference", "/reference/"),
          page("Commands", "/reference/commands"),
          page("Settings", "/configuration"),
          page("Selection", "/selection"),
          page("Error codes", "/errors"),
          page("Events of --json", "/reference/events"),
          page("Schema _headwaters", "/reference/bookkeeping"),
          page("Environment variables", "/reference/environment"),
        ],
      },
      {
        text: "Sources and destinations",
        collapsed: true,
        items: [
          ...["postgresql", "yugabytedb", "cassandra", "scylladb", "rethinkdb", "redis", "valkey", "dragonflydb"].map(
            (name) => page(name, `/sources/${name}`),
          ),
          ...["duckdb", "ducklake", "postgresql"].map((name) => page(`into ${name}`, `/destinations/${name}`)),
        ],
      },
      {
        text: "Operating",
        items: [
          page("All pages", "/operating/"),
          page("The service in production", "/operating/service"),
          page("Backup", "/operating/backup"),
          page("Versions and upgrades", "/operating/upgrade"),
          page("Capacity", "/operating/capacity"),
          page("Clusters", "/operating/cluster"),
          page("Security", "/operating/security"),
          page("Troubleshooting", "/operating/troubleshooting"),
          page("Questions", "/operating/faq"),
          page("Reliability", "/reliability"),
          page("Benchmarks", "/benchmarks"),
        ],
      },
      {
        text: "About",
        collapsed: true,
        items: [
          page("Architecture", "/architecture"),
          page("Contributing", "/contributing"),
          page("Changelog", "/changelog"),
        ],
      },
    ],
  },
});
