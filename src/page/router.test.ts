import { expect, test } from "vitest";
import { href, parseRoute, type Route } from "./router.ts";

const routes: readonly (readonly [string, Exclude<Route, { screen: "unknown" }>])[] = [
  ["#/", { screen: "connections" }],
  ["#/connections/iot", { screen: "connection", name: "iot", tab: "live" }],
  ["#/connections/iot/tables", { screen: "connection", name: "iot", tab: "tables" }],
  ["#/connections/iot/history", { screen: "connection", name: "iot", tab: "history" }],
  ["#/connections/iot/tables/public.orders", { screen: "table", name: "iot", table: "public.orders" }],
  ["#/connections/a%2Fb%20%C3%BC/runs/2026-1", { screen: "run", name: "a/b ü", id: "2026-1" }],
];

test.each(routes)("%s is a route, and its address", (hash, route) => {
  expect(parseRoute(hash)).toEqual(route);
  expect(href(route)).toBe(hash);
});

test.each([
  ["", { screen: "connections" }],
  ["#", { screen: "connections" }],
  ["#token=abc", { screen: "connections" }],
  ["#/connections", { screen: "connections" }],
  ["#/connections/iot/", { screen: "connection", name: "iot", tab: "live" }],
])("%s is read too", (hash, route) => {
  expect(parseRoute(hash)).toEqual(route);
});

test.each([
  "#/nothing",
  "#/connections/iot/nothing",
  "#/connections/iot/history/1",
  "#/connections/%E0",
  "#/connections/a/runs/1/2",
])("%s is no route", (hash) => {
  expect(parseRoute(hash)).toEqual({ screen: "unknown" });
});
