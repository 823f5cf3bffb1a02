import { appendFile, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { updateChecks } from "headwaters/testing";
import { afterAll, expect, test } from "vitest";
import { parseCsv } from "./csv.ts";
import source from "./source.ts";

const folder = await mkdtemp(join(tmpdir(), "headwaters-logs-"));

const line = (n: number, text: string): string =>
  `${JSON.stringify({ at: new Date(Date.UTC(2026, 0, 1) + n * 1_000).toISOString(), level: n % 5, text })}\n`;

await writeFile(
  join(folder, "web.ndjson"),
  Array.from({ length: 2_500 }, (_, n) => line(n, `request é ${n}`)).join(""),
);
await writeFile(join(folder, "jobs.ndjson"), `${line(1, "begun")}{"at":"2026-01-01T00:00:09Z","half`);
await writeFile(join(folder, "hosts.csv"), 'name,rack,price\nalpha,1,9.90\n"beta, the ""second""",2,\n');

let round = 0;

const checks = updateChecks({
  source,
  configuration: { folder },
  async change() {
    round += 1;
    await appendFile(join(folder, "web.ndjson"), line(round, `appended ${round}`));
    // The line that was not whole is now; and a file is begun anew, with fewer lines.
    if (round === 1) await appendFile(join(folder, "jobs.ndjson"), `":true}\n${line(3, "more")}`);
    else await writeFile(join(folder, "jobs.ndjson"), line(round, "anew"));
    await writeFile(join(folder, "hosts.csv"), `name,rack,price\nalpha,${round},9.90\n"beta, the ""second""",2,1.5\n`);
    // File systems keep times more coarsely than a test writes.
    await utimes(join(folder, "hosts.csv"), new Date(), new Date(Date.UTC(2026, 1, round)));
  },
});

for (const { name, run } of checks) test(name, run);

test("CSV", () => {
  expect(parseCsv('a,b\r\n1,"x,\ny ""z"""\r\n,\n')).toEqual([
    { a: "1", b: 'x,\ny "z"' },
    { a: "", b: "" },
  ]);
});

afterAll(() => rm(folder, { recursive: true }));
