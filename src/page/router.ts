/** What the page shows, from the fragment of its address. The server does not see it. */
export type Route =
  | { readonly screen: "connections" }
  | { readonly screen: "connection"; readonly name: string; readonly tab: Tab }
  | { readonly screen: "table"; readonly name: string; readonly table: string }
  | { readonly screen: "run"; readonly name: string; readonly id: string }
  | { readonly screen: "unknown" };

export type Tab = "live" | "tables" | "history";

/** `#/connections/iot/history` as a route. */
export function parseRoute(hash: string): Route {
  // The address with the token was opened once more.
  if (hash.startsWith("#token=")) return { screen: "connections" };
  const parts = decoded(hash.replace(/^#?\/?/, ""));
  if (parts === null) return { screen: "unknown" };
  const [room, name, tab, id] = parts;
  if (room === undefined) return { screen: "connections" };
  if (room !== "connections" || parts.length > 4) return { screen: "unknown" };
  if (name === undefined) return { screen: "connections" };
  if (tab === undefined) return { screen: "connection", name, tab: "live" };
  if (tab === "runs" && id !== undefined) return { screen: "run", name, id };
  if (tab === "tables" && id !== undefined) return { screen: "table", name, table: id };
  if ((tab === "tables" || tab === "history") && id === undefined) return { screen: "connection", name, tab };
  return { screen: "unknown" };
}

/** The inverse of {@link parseRoute}. */
export function href(route: Exclude<Route, { readonly screen: "unknown" }>): string {
  const parts = partsOf(route).map(encodeURIComponent);
  return `#/${parts.join("/")}`;
}

function partsOf(route: Exclude<Route, { readonly screen: "unknown" }>): readonly string[] {
  switch (route.screen) {
    case "connections":
      return [];
    case "connection":
      return ["connections", route.name, ...(route.tab === "live" ? [] : [route.tab])];
    case "table":
      return ["connections", route.name, "tables", route.table];
    case "run":
      return ["connections", route.name, "runs", route.id];
  }
}

/** `null`: broken escapes, such as of an address that was cut. */
function decoded(path: string): readonly string[] | null {
  try {
    return path
      .split("/")
      .filter((part) => part !== "")
      .map(decodeURIComponent);
  } catch {
    return null;
  }
}
