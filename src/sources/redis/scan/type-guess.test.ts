import { describe, expect, test } from "vitest";
import { TypeGuess } from "./type-guess.ts";
import { nativeType } from "../types.ts";

const [string, hash] = [nativeType("string")!, nativeType("hash")!];

function guessOf(guess: TypeGuess, key: string): string | null {
  const bytes = Buffer.from(key);
  return guess.guess(bytes, 0, bytes.length)?.name ?? null;
}

function learn(guess: TypeGuess, key: string, type = string, times = 1, guessed = false): void {
  const bytes = Buffer.from(key);
  for (let count = 0; count < times; count++) guess.learn(bytes, 0, bytes.length, type, guessed);
}

describe("a type is foretold", () => {
  test("once enough keys of that beginning had it, until one has another", () => {
    const guess = new TypeGuess();
    learn(guess, "session:1", string, 15);
    expect(guessOf(guess, "session:2")).toBeNull();
    learn(guess, "session:1");
    expect(guessOf(guess, "session:2")).toBe("string");
    expect(guessOf(guess, "user:2")).toBeNull();
    expect(guessOf(guess, "session")).toBeNull();
    learn(guess, "session:3", hash, 1, true);
    expect(guessOf(guess, "session:2")).toBeNull();
    learn(guess, "session:3", hash, 15);
    expect(guessOf(guess, "session:2")).toBe("hash");
  });

  test("no more after some wrong guesses", () => {
    const guess = new TypeGuess();
    for (let round = 0; round < 4; round++) learn(guess, "a:1", round % 2 === 0 ? hash : string, 1, true);
    learn(guess, "a:1", string, 100);
    expect(guessOf(guess, "a:1")).toBeNull();
  });
});
