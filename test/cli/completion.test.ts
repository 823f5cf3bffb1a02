import { execFileSync, spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { runCli } from "./run-cli.ts";

async function script(shell: string): Promise<string> {
  const { code, out, error } = await runCli(["completion", shell]);
  expect([code, error]).toEqual([0, ""]);
  return out;
}

const commands =
  "init check discover sync follow verify status history logs query reset unfollow state export run up worker deploy alert serve completion demo".split(
    " ",
  );

function isHere(shell: string): boolean {
  return spawnSync(shell, ["--version"]).status === 0;
}

test.skipIf(!isHere("bash"))("bash completes commands, flags, parts and choices", async () => {
  const completions = await script("bash");
  const completed = (...words: readonly string[]): readonly string[] => {
    const list = words.map((word) => `'${word}'`).join(" ");
    const ask = `${completions}\nCOMP_WORDS=(headwaters ${list}); COMP_CWORD=${words.length}; _headwaters; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync("bash", ["-c", ask], { encoding: "utf8" }).trim().split("\n");
  };
  expect(completed("")).toEqual([...commands, "help", "--help", "--version"]);
  expect(completed("sync", "--dr")).toEqual(["--dry-run"]);
  expect(completed("sync", "iot", "--accept")).toEqual(["--accept-scope", "--accept-deletes"]);
  expect(completed("state", "e")).toEqual(["export"]);
  expect(completed("completion", "")).toEqual(expect.arrayContaining(["bash", "zsh", "fish"]));
});

test.each(["zsh", "fish"])("the script for %s has every command and flag, and its shell reads it", async (shell) => {
  const text = await script(shell);
  for (const command of commands) expect(text).toContain(command);
  expect(text).toContain("dry-run");
  // Where the shell is not installed, only the text is checked.
  if (isHere(shell)) expect(spawnSync(shell, ["-n"], { input: text }).status).toBe(0);
});

test("another shell is refused", async () => {
  expect(await runCli(["completion", "powershell"])).toMatchObject({ code: 2 });
});
