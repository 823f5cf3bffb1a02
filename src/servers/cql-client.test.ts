import { expect, test } from "vitest";
import { parseCqlAddress } from "./cql-client.ts";

test.each([
  ["cql://localhost:9142", { host: "localhost", port: 9142, username: null, password: null }],
  ["cql://[::1]", { host: "::1", port: 9042, username: null, password: null }],
  ["cql://me:a%40b@db", { host: "db", port: 9042, username: "me", password: "a@b" }],
  ["redis://localhost", null],
  ["localhost:9042", null],
])("%s", (address, parsed) => {
  expect(parseCqlAddress(address)).toEqual(parsed);
});
