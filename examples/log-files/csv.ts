/** Rows of a CSV file by the names in its first line (RFC 4180: quotes double inside of quotes, lines may be in them). */
export function parseCsv(text: string): readonly Readonly<Record<string, string>>[] {
  const [names = [], ...rows] = records(text);
  return rows.map((values) => Object.fromEntries(names.map((name, index) => [name, values[index] ?? ""])));
}

function records(text: string): readonly (readonly string[])[] {
  const all: string[][] = [];
  let record: string[] = [];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    record.push(quoted === undefined ? plain! : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    if (record.length > 1 || record[0] !== "") all.push(record);
    record = [];
  }
  return all;
}
