import { describe, expect, test } from "vitest";
import { destinations } from "../../src/destinations/index.ts";
import { sources } from "../../src/sources/index.ts";
import { runCli } from "./run-cli.ts";

const commands = [
  "init",
  "check",
  "discover",
  "sync",
  "follow",
  "verify",
  "status",
  "history",
  "logs",
  "query",
  "reset",
  "unfollow",
  "state",
  "export",
  "run",
  "up",
  "alert",
  "serve",
  "worker",
  "deploy",
  "completion",
  "demo",
];
const parts = ["init source", "state show", "state export", "state import", "alert test"];

/** Leaves out the kinds of connectors: each new kind would change the help of every command. */
function withoutKinds(help: string): string {
  return help.replace(/^(Sources|Destinations): .+(\n {2}\S.*)*$/gm, "$1: …");
}

/** Help is part of the product: whoever changes it sees the change in review. `npx vitest run -u` writes it anew. */
describe("help", () => {
  test("of the program", async () => {
    const { code, out, error } = await runCli(["--help"]);
    expect([code, error]).toEqual([0, ""]);
    await expect(withoutKinds(out)).toMatchFileSnapshot("golden/help.txt");
    for (const { title } of [...Object.values(sources), ...Object.values(destinations)]) expect(out).toContain(title);
  });

  test.each([...commands, ...parts])("of %s", async (command) => {
    const { code, out, error } = await runCli([...command.split(" "), "--help"]);
    expect([code, error]).toEqual([0, ""]);
    expect(out).toContain("Examples:");
    await expect(withoutKinds(out)).toMatchFileSnapshot(`golden/help-${command.replace(" ", "-")}.txt`);
    if (commands.includes(command)) expect((await runCli(["help", command])).out).toBe(out);
  });

  test("no line is wider than 80 columns (case 34)", async () => {
    for (const argv of [["--help"], ...[...commands, ...parts].map((command) => [...command.split(" "), "--help"])]) {
      const { out } = await runCli(argv);
      const wide = out.split("\n").filter((line) => line.length > 80);
      expect(wide).toEqual([]);
    }
  });

  test("the version is the package's", async () => {
    expect((await runCli(["--version"])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe("usage", () => {
  test.each([
    [["snyc"], "error: unknown command 'snyc'\n(Did you mean sync?)\n"],
    [["sync", "--fulll"], "error: unknown option '--fulll'\n(Did you mean --full?)\n"],
    [
      ["sync", "--log-level", "loud"],
      "error: option '--log-level <level>' argument 'loud' is invalid. Allowed choices are debug, info, warn, error.\n",
    ],
    [["sync", "--tables"], "error: option '--tables <names>' argument missing\n"],
    [["init", "a", "b"], "error: too many arguments for 'init'. Expected 1 argument but got 2.\n"],
  ])("%j", async (argv, message) => {
    const { code, out, error } = await runCli(argv);
    expect([code, out, error]).toEqual([2, "", message]);
  });

  test("nothing at all shows the help", async () => {
    const { code, error } = await runCli([]);
    expect(code).toBe(2);
    expect(error).toBe((await runCli(["--help"])).out);
  });
});
