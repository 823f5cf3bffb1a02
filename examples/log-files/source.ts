import { createHash } from "node:crypto";
import { open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { defineSource, z } from "headwaters";
import { parseCsv } from "./csv.ts";

/** How far a file was read. A file of lines only grows; one of CSV is written anew. */
const seen = z.object({
  /** Bytes that were read: whole lines only. */
  bytes: z.number(),
  lines: z.number(),
  /** When it was last written, in milliseconds. */
  written: z.number(),
  /** A digest of its first line: with another one the file was begun anew. */
  first: z.string(),
});

export default defineSource({
  name: "logs",
  title: "Log files",
  configuration: z.object({
    folder: z.string().meta({ description: "Where the files are.", path: true }),
  }),
  state: z.object({ files: z.record(z.string(), seen).default({}) }),
  scope: ({ folder }) => folder,
  schema: {
    // What a line holds beside its place is inferred: each program logs fields of its own.
    events: { key: ["file", "line"], columns: { file: "STRING", line: "LONG", at: "UTC_DATETIME" }, infer: true },
    hosts: { key: ["file", "name"], columns: { file: "STRING", name: "STRING", rack: "INT", price: "DECIMAL(10,2)" } },
  },
  async check({ configuration: { folder } }) {
    return `${(await readdir(folder)).length} files in ${folder}`;
  },
  async *update({ configuration: { folder }, state, upsert, remove, checkpoint, log, signal }) {
    const files = { ...state.files };
    const names = (await readdir(folder)).filter((name) => /\.(?:ndjson|csv)$/.test(name)).sort();
    for (const name of names) {
      signal.throwIfAborted();
      const path = join(folder, name);
      const { size, mtimeMs: written } = await stat(path);
      const before = files[name];
      if (before !== undefined && before.written === written && before.bytes >= size) continue;
      if (name.endsWith(".csv")) {
        const rows = parseCsv(await readFile(path, "utf8"));
        for (const { name: host, rack, price } of rows) {
          if (host === undefined || host === "") log.warn(`${name}: a line has no name and is left out`);
          else
            yield upsert("hosts", { file: name, name: host, rack: numberOf(rack), price: price === "" ? null : price });
        }
        files[name] = { bytes: size, lines: rows.length, written, first: "" };
      } else {
        const first = await firstLine(path);
        const goesOn = before !== undefined && before.first === first && size >= before.bytes;
        if (before !== undefined && !goesOn)
          yield Array.from({ length: before.lines }, (_, line) => remove("events", { file: name, line: line + 1 }));
        let { bytes, lines } = goesOn ? before : { bytes: 0, lines: 0 };
        for await (const text of wholeLines(path, bytes)) {
          bytes += Buffer.byteLength(text) + 1;
          lines += 1;
          yield upsert("events", { ...(JSON.parse(text) as object), file: name, line: lines });
          if (lines % 1_000 === 0)
            yield checkpoint({ files: { ...files, [name]: { bytes, lines, written: 0, first } } });
        }
        files[name] = { bytes, lines, written, first };
      }
      yield checkpoint({ files });
    }
  },
});

function numberOf(text: string | undefined): number | null {
  return text === undefined || text === "" ? null : Number(text);
}

/** A digest of the first line; empty where there is none yet. */
async function firstLine(path: string): Promise<string> {
  for await (const text of wholeLines(path, 0)) return createHash("sha256").update(text).digest("hex").slice(0, 16);
  return "";
}

/** Lines from a position on; a last one without its end is not whole yet, and is left for the next sync. */
async function* wholeLines(path: string, from: number): AsyncGenerator<string> {
  await using file = await open(path);
  let rest = Buffer.alloc(0);
  for await (const chunk of file.createReadStream({ start: from, autoClose: false })) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    let begin = 0;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, begin)) {
      yield rest.toString("utf8", begin, end);
      begin = end + 1;
    }
    rest = rest.subarray(begin);
  }
}
