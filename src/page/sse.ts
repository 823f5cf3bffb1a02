/** One event of a stream. https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation */
export interface Message {
  /** The last id that the stream has named; `""`: none yet. */
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** Parses an event stream that comes in pieces. A piece may end anywhere, also between the two characters of a line's end. */
export function messageParser(): (piece: string) => readonly Message[] {
  let rest = "";
  let id = "";
  let event = "";
  let data: string[] = [];
  let first = true;

  function line(text: string): Message | null {
    if (text === "") {
      const message = data.length === 0 ? null : { id, event: event === "" ? "message" : event, data: data.join("\n") };
      event = "";
      data = [];
      return message;
    }
    const colon = text.indexOf(":");
    // A comment keeps the connection open.
    if (colon === 0) return null;
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "data") data.push(value);
    else if (field === "event") event = value;
    else if (field === "id" && !value.includes("\0")) id = value;
    return null;
  }

  return (piece) => {
    rest += first ? piece.replace(/^\uFEFF/, "") : piece;
    first &&= piece === "";
    const messages: Message[] = [];
    for (;;) {
      const end = /\r\n|\n|\r/.exec(rest);
      // A carriage return that ends the piece may be half of a line's end.
      if (end === null || (end[0] === "\r" && end.index === rest.length - 1)) return messages;
      const message = line(rest.slice(0, end.index));
      rest = rest.slice(end.index + end[0].length);
      if (message !== null) messages.push(message);
    }
  };
}
