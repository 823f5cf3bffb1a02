/**
 * The candidate that a mistyped word most likely meant, ignoring case: the one with the fewest insertions, deletions,
 * replacements and swaps of neighbours. `null`: in every candidate more than a third of the letters (at least one)
 * differ.
 */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  let best: string | null = null;
  let least = Infinity;
  for (const candidate of candidates) {
    const changes = editDistance(word.toLowerCase(), candidate.toLowerCase());
    const allowed = Math.max(1, Math.floor(Math.max(word.length, candidate.length) / 3));
    if (changes <= allowed && changes < least) {
      least = changes;
      best = candidate;
    }
  }
  return best;
}

/** The distance of optimal string alignment. Only the last three rows of the matrix are kept. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let changes = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) changes = Math.min(changes, beforeLast[j - 2]! + 1);
      row.push(changes);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
