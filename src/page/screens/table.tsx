import { useState } from "preact/hooks";
import type { ConnectionReport, TableReport } from "../../service/api.ts";
import { count, counted, duration, size } from "../../toolkit/figures.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Problem } from "../parts/problem.tsx";
import { Empty, Fact, Pending, When } from "../parts/words.tsx";
import { href } from "../router.ts";
import { ChangedScope, HeldDeletes, useAct } from "./actions.tsx";
import { useTables } from "./tables.tsx";

/** One table: columns, how it is read and why, and what the last passes cost. */
export function TableScreen({ table, connection }: { readonly table: string; readonly connection: ConnectionReport }) {
  const { value: tables, error, reload } = useTables(connection);
  const { name } = connection;
  if (tables === null) return <Pending error={error} retry={reload} />;
  const report = tables.find((one) => one.table === table);
  return (
    <>
      <div class="head">
        <h2 class="crumbs">
          <a href={href({ screen: "connection", name, tab: "tables" })}>Tables</a> / <span class="name">{table}</span>
        </h2>
        {report !== undefined && <TableActions connection={connection} report={report} />}
      </div>
      {report === undefined ? <Empty>This table was not synced yet.</Empty> : <Report name={name} report={report} />}
    </>
  );
}

function TableActions({ connection, report }: { readonly connection: ConnectionReport; readonly report: TableReport }) {
  const { name, running } = connection;
  const act = useAct(name);
  const [asking, ask] = useState(false);
  const busy = running !== null && running.kind !== "follow";
  const tables = [report.table];
  return (
    <div class="actions" role="group" aria-label={`Actions for ${report.table}`}>
      <button type="button" disabled={running !== null} onClick={() => act({ action: "sync", tables })}>
        Sync this table
      </button>
      <button type="button" disabled={busy} onClick={() => act({ action: "sync", tables, sweep: true })}>
        Sweep
      </button>
      <button type="button" disabled={busy} onClick={() => ask(true)}>
        Full read …
      </button>
      <button type="button" disabled={busy} onClick={() => act({ action: "verify", tables })}>
        Verify
      </button>
      {asking && (
        <Dialog
          title={`Read all of ${report.table} again?`}
          confirm={report.rows === null ? `Read ${report.table} again` : `Read ${counted(report.rows, "row")} again`}
          onConfirm={() => act({ action: "sync", tables, full: true })}
          onClose={() => ask(false)}
        >
          <p>Every row is read and compared with the copy. Only what differs is written.</p>
        </Dialog>
      )}
    </div>
  );
}

function Report({ name, report }: { readonly name: string; readonly report: TableReport }) {
  const { table, rows, asOf, sweptAt, columns, cursor, reading, open, held, last } = report;
  return (
    <>
      <div class="cards">
        {held !== null && <HeldDeletes name={name} held={{ table, ...held }} />}
        {last?.error != null && !(last.error.code === "DELETES_STOPPED" && held !== null) && (
          <Problem error={last.error}>
            {last.error.code === "SCOPE_CHANGED" && <ChangedScope name={name} table={table} rows={rows} />}
          </Problem>
        )}
      </div>
      <dl class="facts">
        <Fact name="Rows">{rows === null ? "no copy" : count(rows)}</Fact>
        <Fact name="Copy is from">
          <When at={asOf} none="never whole" />
        </Fact>
        <Fact name="Last sweep">
          <When at={sweptAt} />
        </Fact>
        <Fact name="Cursor column">
          <span class="name">{cursor ?? "none"}</span>
        </Fact>
        {open !== null && (
          <Fact name="Open pass">
            {open.kind}, {open.splitsDone} of {counted(open.splits, "split")} done
          </Fact>
        )}
      </dl>
      <div class="columns">
        <section aria-labelledby="reading">
          <h2 id="reading">How it is read, and why</h2>
          {reading.length === 0 ? (
            <Empty>Not known before the next sync.</Empty>
          ) : (
            <ul class="sentences">
              {reading.map((sentence) => (
                <li key={sentence}>{sentence}</li>
              ))}
            </ul>
          )}
          <h2>Cost of the last passes</h2>
          {last === null ? (
            <Empty>No pass yet.</Empty>
          ) : (
            <dl class="facts small-facts">
              <Fact name="Passes">{last.passes.length === 0 ? "none" : last.passes.join(", ")}</Fact>
              <Fact name="Read">
                {counted(last.rowsRead, "row")}, {size(last.bytesRead)}
              </Fact>
              <Fact name="Time">{duration(last.milliseconds)}</Fact>
              <Fact name="Inserted">{count(last.inserted)}</Fact>
              <Fact name="Updated">{count(last.updated)}</Fact>
              <Fact name="Deleted">{count(last.deleted)}</Fact>
            </dl>
          )}
        </section>
        <section aria-labelledby="columns">
          <h2 id="columns">{counted(columns.length, "column")}</h2>
          <table class="grid" aria-labelledby="columns">
            <thead>
              <tr>
                <th>Column</th>
                <th>Type</th>
                <th>Key</th>
                <th>May be empty</th>
              </tr>
            </thead>
            <tbody>
              {columns.map((column) => (
                <tr key={column.name}>
                  <td class="name">{column.name}</td>
                  <td>
                    <code>{column.type}</code>
                  </td>
                  <td>{column.key ? "key" : ""}</td>
                  <td>{column.nullable ? "yes" : "no"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      </div>
    </>
  );
}
