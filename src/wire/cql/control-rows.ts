import { BodyReader } from "./body-reader.ts";
import { type Page, pageColumns } from "./messages.ts";
import { jsonText, valueText } from "./text.ts";
import { isScalar } from "./types.ts";

/** A row of a small table of the server's own: scalars as text, the rest as JSON values. */
export type ControlRow = Readonly<Record<string, ControlValue>>;
export type ControlValue = string | null | readonly ControlValue[] | { readonly [key: string]: ControlValue };

export function controlRows(page: Page): ControlRow[] {
  const columns = pageColumns(page);
  const reader = new BodyReader(page.body, page.start);
  return Array.from({ length: page.rows }, () =>
    Object.fromEntries(
      columns.map(({ name, type }) => {
        const bytes = reader.bytes();
        if (bytes === null) return [name, null];
        if (isScalar(type)) return [name, valueText(type, bytes, 0, bytes.length)];
        return [name, JSON.parse(jsonText(type, bytes, 0, bytes.length)) as ControlValue];
      }),
    ),
  );
}

/** A column that holds a list or set of texts. */
export function textList(value: ControlValue | undefined): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** A column that holds a text. */
export function textValue(value: ControlValue | undefined): string | null {
  return typeof value === "string" ? value : null;
}
