import type { Json } from "../../protocol/json.ts";
import type { Split } from "../../protocol/pass.ts";
import type { CursorWindow, TokenRange } from "./splits.ts";

/** What a split reads: a range of tokens, if the ring can be cut, and perhaps a range of the cursor's values. */
export interface Work {
  readonly tokens: TokenRange | null;
  readonly window: CursorWindow | null;
}

export function workJson({ tokens, window }: Work): Json {
  return {
    tokens: tokens === null ? null : [tokens.low.toString(), tokens.high.toString()],
    window: window === null ? null : [window.low, window.high],
  };
}

export function workOf(split: Split): Work {
  const { tokens, window } = split.work as { tokens: [string, string] | null; window: [number, number | null] | null };
  return {
    tokens: tokens === null ? null : { low: BigInt(tokens[0]), high: BigInt(tokens[1]) },
    window: window === null ? null : { low: window[0], high: window[1] },
  };
}
