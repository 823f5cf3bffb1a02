import { useState } from "preact/hooks";
import type { Action, ConnectionReport } from "../../service/api.ts";
import { count, counted } from "../../toolkit/figures.ts";
import { usePage } from "../context.ts";
import { percent } from "../format.ts";
import { Dialog } from "../parts/dialog.tsx";

/** Asks the service to do something, and says its answer. */
export function useAct(name: string): (action: Action) => void {
  const { client, say } = usePage();
  return (action) => {
    client.act(name, action).then(
      ({ says }) => say(says),
      (error: Error & { readonly hint?: string | null }) =>
        say([error.message, error.hint].filter(Boolean).join(" "), "bad"),
    );
  };
}

/** What a person can have done with a connection. */
export function Actions({ connection }: { readonly connection: ConnectionReport }) {
  const { name, running, paused, rows, tables, stream } = connection;
  const act = useAct(name);
  const [asking, ask] = useState(false);
  // Following makes way for a sync, and goes on beside a verify.
  const busy = running !== null && running.kind !== "follow";
  const followed = stream !== null;
  return (
    <div class="actions" role="group" aria-label={`Actions for ${name}`}>
      {busy || followed ? (
        <button
          type="button"
          class="stop"
          onClick={() => act({ action: "stop" })}
          title={
            busy
              ? "Ends the run soon. Commits are kept, and the next run goes on from there."
              : "Stops following until you resume it. Commits are kept."
          }
        >
          Stop
        </button>
      ) : (
        <button type="button" class="primary" onClick={() => act({ action: "sync" })} title="Reads what changed, now.">
          Run now
        </button>
      )}
      <button
        type="button"
        disabled={busy}
        onClick={() => act({ action: "sync", sweep: true })}
        title="Reads key and version of every row, and finds deletes."
      >
        Sweep
      </button>
      <button type="button" disabled={busy} onClick={() => ask(true)} title="Reads every row again.">
        Full read …
      </button>
      <button
        type="button"
        disabled={busy}
        onClick={() => act({ action: "verify" })}
        title="Reads the source again by another path, and compares."
      >
        Verify
      </button>
      {paused ? (
        <button type="button" onClick={() => act({ action: "resume" })} title="Runs by its schedule again.">
          Resume
        </button>
      ) : followed && !busy ? null : (
        <button type="button" onClick={() => act({ action: "pause" })} title="No run by schedule until you resume it.">
          Pause
        </button>
      )}
      {asking && (
        <Dialog
          title={`Read all of ${name} again?`}
          confirm={rows === null ? `Read ${counted(tables, "table")} again` : `Read ${counted(rows, "row")} again`}
          onConfirm={() => act({ action: "sync", full: true })}
          onClose={() => ask(false)}
        >
          <p>
            A full read loads every row of {counted(tables, "table")}
            {rows !== null && <>, {counted(rows, "row")} by the last count</>}, and compares them with the copy. Only
            what differs is written. It costs the source as much as the first sync did.
          </p>
        </Dialog>
      )}
    </div>
  );
}

export interface Held {
  readonly table: string;
  readonly gone: number;
  readonly of: number;
}

/** Deletes that the delete limit holds back, and the way to agree to them. */
export function HeldDeletes({ name, held }: { readonly name: string; readonly held: Held }) {
  const act = useAct(name);
  const [asking, ask] = useState(false);
  const { table, gone, of } = held;
  const numbers = `${count(gone)} of ${counted(of, "row")}`;
  return (
    <article class="problem tone-bad">
      <p class="problem-head">
        <code class="code">DELETES_STOPPED</code>
        <span class="problem-message">
          <b class="name">{table}</b>: {numbers} ({percent(of === 0 ? 0 : gone / of)}) are gone from the source. The
          delete limit holds these deletes back; new and changed rows still arrive.
        </span>
      </p>
      <p class="problem-hint">
        <b>What to do:</b> If the rows were deleted on purpose, review the deletes and agree. If not, fix the source
        first.
      </p>
      <button type="button" onClick={() => ask(true)}>
        Review the deletes of {table} …
      </button>
      {asking && (
        <Dialog
          title={`Delete ${numbers} of ${table}?`}
          confirm={`Delete ${numbers}`}
          danger
          onConfirm={() => act({ action: "accept-deletes", table, gone, of })}
          onClose={() => ask(false)}
        >
          <p>
            The last pass did not find {counted(gone, "row")} of <b class="name">{table}</b> in the source. Its copy had{" "}
            {counted(of, "row")}, so {percent(of === 0 ? 0 : gone / of)} of the copy would be deleted.
          </p>
          <p>The next sync deletes them. If more rows are missing by then, it stops again.</p>
        </Dialog>
      )}
    </article>
  );
}

/** A table whose scope changed, and the way to agree to the new one. */
export function ChangedScope(props: { readonly name: string; readonly table: string; readonly rows: number | null }) {
  const { name, table, rows } = props;
  const act = useAct(name);
  const [asking, ask] = useState(false);
  const numbers = rows === null ? "this copy" : counted(rows, "row");
  return (
    <>
      <button type="button" onClick={() => ask(true)}>
        Review the new scope of {table} …
      </button>
      {asking && (
        <Dialog
          title={`Accept the new scope of ${table}?`}
          confirm={`Compare ${numbers} with the new scope`}
          danger
          onConfirm={() => act({ action: "accept-scope", table })}
          onClose={() => ask(false)}
        >
          <p>
            The copy of <b class="name">{table}</b>
            {rows !== null && <> has {counted(rows, "row")}, which</>} came from another selection, server or database.
            If you accept, the next sync reads the table whole by the new selection, and deletes from the copy what is
            not in it.
          </p>
        </Dialog>
      )}
    </>
  );
}
