import { expect, test } from "vitest";
import type { Table } from "../../protocol/table.ts";
import { checked } from "./read.ts";

test("an error of text that is not UTF-8 names the key of its document", () => {
  const table = { id: "t", key: ["id"] } as unknown as Table;
  const documents = [{ id: "a", v: "\ufffd" }, { id: ["b", 1], v: "?" }, { id: "c" }];
  const text = Buffer.from(`{"t":2,"r":${JSON.stringify(documents)},"n":[]}`);
  expect(checked({ type: 2, text }, table)).toBe(text);
  text[text.indexOf("?")] = 0xff;
  expect(() => checked({ type: 2, text }, table)).toThrow('table "t": the document of key ["b",1] has text');
});
