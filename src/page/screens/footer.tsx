import { counted, size } from "../../toolkit/figures.ts";
import { usePage, useStore } from "../context.ts";
import { When } from "../parts/words.tsx";

/** The service itself: version, file, limits, and alerts with a test. */
export function Footer() {
  const service = useStore((state) => state.service);
  const { client, say } = usePage();
  if (service === null) return <footer class="footer" />;
  const { version, file, started, concurrency, memoryBytes, alerts } = service;
  return (
    <footer class="footer">
      <p>
        Headwaters {version} reads <code class="name">{file}</code>, up since <When at={started} />.{" "}
        {counted(concurrency, "run")} at a time{memoryBytes !== null && <>, {size(memoryBytes)} of memory for all</>}.
        Times are those of {Intl.DateTimeFormat().resolvedOptions().timeZone}.
      </p>
      <section aria-label="Alerts" class="alerts">
        <b>Alerts:</b>{" "}
        {alerts.length === 0
          ? "none. The file may name webhooks under alerts."
          : alerts.map(({ name, url }) => (
              <span key={name} class="alert">
                <span class="name" title={url}>
                  {name}
                </span>
                <button
                  type="button"
                  class="small"
                  aria-label={`Test the alert ${name}`}
                  onClick={() =>
                    client.testAlert(name).then(
                      ({ says }) => say(says),
                      (error: Error) => say(error.message, "bad"),
                    )
                  }
                >
                  Test
                </button>
              </span>
            ))}
      </section>
    </footer>
  );
}
