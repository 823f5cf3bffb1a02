import type { EventLog, NumberedEvent } from "../event-log.ts";

/** So many readers at a time. */
const mostReaders = 64;

/** A reader that has so many events to fetch is let go; it comes back and reads on, or everything anew. */
const mostWaiting = 1_000;

/** Proxies close a connection that is silent. In milliseconds. */
const beat = 15_000;

/** The events as they come, for readers of `text/event-stream`. `null`: there are too many readers. */
export function eventStream(
  events: EventLog,
  hello: NumberedEvent["event"],
  lastId: string | undefined,
): ReadableStream<Uint8Array> | null {
  if (events.readers >= mostReaders) return null;
  const encoder = new TextEncoder();
  let unread = (): void => {};
  let timer: NodeJS.Timeout | undefined;
  const close = (): void => {
    unread();
    clearInterval(timer);
  };
  return new ReadableStream(
    {
      start(controller) {
        const send = (text: string): void => {
          if ((controller.desiredSize ?? 0) <= 0) {
            close();
            controller.close();
            return;
          }
          controller.enqueue(encoder.encode(text));
        };
        const tell = ({ id, event }: NumberedEvent): void => send(`id: ${id}\ndata: ${JSON.stringify(event)}\n\n`);
        const missed = lastId === undefined ? null : events.after(lastId);
        if (missed === null) tell({ id: events.last, event: hello });
        unread = events.read(tell);
        for (const event of missed ?? []) tell(event);
        timer = setInterval(() => send(": still here\n\n"), beat);
      },
      cancel: close,
    },
    new CountQueuingStrategy({ highWaterMark: mostWaiting + 2_000 }),
  );
}
