import { useState } from "preact/hooks";
import type { ConnectionReport, TableReport } from "../../service/api.ts";
import { count, duration, size } from "../../toolkit/figures.ts";
import { useLoaded, usePage } from "../context.ts";
import { matches } from "../format.ts";
import { Badge, Empty, Pending, Search, When } from "../parts/words.tsx";
import { href } from "../router.ts";

/** The tables of a connection; they change when a run ends. */
export function useTables({ name, lastRun }: ConnectionReport) {
  const { client } = usePage();
  return useLoaded(`tables ${name}`, lastRun?.id, () => client.tables(name));
}

/** How each table is read, and what that costs. */
export function Tables({ connection }: { readonly connection: ConnectionReport }) {
  const { value: tables, error, reload } = useTables(connection);
  const [search, setSearch] = useState("");
  if (tables === null) return <Pending error={error} retry={reload} />;
  if (tables.length === 0) return <Empty>No table was synced yet.</Empty>;
  const shown = tables.filter(({ table, columns }) => matches(search, table, ...columns.map((column) => column.name)));
  return (
    <>
      {tables.length > 5 && (
        <div class="tools">
          <Search label="Search tables and columns" value={search} onChange={setSearch} />
        </div>
      )}
      <table class="grid stacked tables" aria-label="Tables">
        <thead>
          <tr>
            <th>Table</th>
            <th class="number">Rows</th>
            <th>Copy is from</th>
            <th>Last sweep</th>
            <th class="number">Columns</th>
            <th>Key</th>
            <th>Cursor column</th>
            <th>Last passes</th>
            <th class="number">Read</th>
            <th class="number">Time</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((table) => (
            <Row key={table.table} name={connection.name} report={table} />
          ))}
        </tbody>
      </table>
      {shown.length === 0 && <Empty>No table matches.</Empty>}
    </>
  );
}

function Row({ name, report }: { readonly name: string; readonly report: TableReport }) {
  const { table, rows, asOf, sweptAt, columns, cursor, last, held } = report;
  const key = columns.filter((column) => column.key).map((column) => column.name);
  return (
    <tr class={last?.error != null || held !== null ? "edge-bad" : undefined}>
      <td class="title-cell">
        <a class="name strong" href={href({ screen: "table", name, table })}>
          {table}
        </a>
        {last?.error != null && <div class="small">{<code class="code">{last.error.code}</code>}</div>}
        {held !== null && (
          <div class="small">
            <Badge tone="bad">deletes held back</Badge>
          </div>
        )}
      </td>
      <td data-label="Rows" class="number">
        {rows === null ? <span class="faint">no copy</span> : count(rows)}
      </td>
      <td data-label="Copy is from">
        <When at={asOf} none="never whole" />
      </td>
      <td data-label="Last sweep">
        <When at={sweptAt} />
      </td>
      <td data-label="Columns" class="number">
        {columns.length}
      </td>
      <td data-label="Key" class="name">
        {key.length === 0 ? <span class="faint">none</span> : key.join(", ")}
      </td>
      <td data-label="Cursor column" class="name">
        {cursor ?? <span class="faint">none</span>}
      </td>
      <td data-label="Last passes">{last === null || last.passes.length === 0 ? "–" : last.passes.join(", ")}</td>
      <td data-label="Read" class="number">
        {last === null ? "–" : `${count(last.rowsRead)} rows`}
        {last !== null && <div class="faint small">{size(last.bytesRead)}</div>}
      </td>
      <td data-label="Time" class="number">
        {last === null ? "–" : duration(last.milliseconds)}
      </td>
    </tr>
  );
}
