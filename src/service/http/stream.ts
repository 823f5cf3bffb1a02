import type { EventLog, NumberedEvent } from "../event-log.ts";

/** The most readers at the same time. */
const mostReaders = 64;

/** A reader with this many waiting events is disconnected; it comes back and continues, or reads everything again. */
const mostWaiting = 3_000;

/** How often a comment is sent, in milliseconds, since proxies close silent connections. */
const beat = 15_000;

/** The events as they come, for readers of `text/event-stream`. `null`: there are too many readers. */
export function eventStreams(
  events: EventLog,
): (hello: NumberedEvent["event"], lastId: string | undefined) => ReadableStream<Uint8Array> | null {
  const readers = new Set<object>();
  return (hello, lastId) => {
    if (readers.size >= mostReaders) return null;
    const encoder = new TextEncoder();
    const reader = {};
    let unread = (): void => {};
    let timer: NodeJS.Timeout | undefined;
    const close = (): void => {
      readers.delete(reader);
      unread();
      clearInterval(timer);
    };
    return new ReadableStream(
      {
        start(controller) {
          const send = (text: string): void => {
            if (!readers.has(reader)) return;
            if ((controller.desiredSize ?? 0) > 0) return controller.enqueue(encoder.encode(text));
            close();
            controller.close();
          };
          const tell = ({ id, event }: NumberedEvent): void => send(`id: ${id}\ndata: ${JSON.stringify(event)}\n\n`);
          readers.add(reader);
          // The reader learns at once that the stream is open.
          send(": connected\n\n");
          const missed = lastId === undefined ? null : events.after(lastId);
          if (missed === null) tell({ id: events.last, event: hello });
          unread = events.read(tell);
          for (const event of missed ?? []) tell(event);
          timer = setInterval(() => send(": still here\n\n"), beat);
        },
        cancel: close,
      },
      new CountQueuingStrategy({ highWaterMark: mostWaiting }),
    );
  };
}
