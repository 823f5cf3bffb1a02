/** Memory that is kept for the next collection. More than this is released after a large collection. */
const keptBytes = 1 << 20;

/** Up to the first number an insertion sort is fastest, up to the second a quicksort. */
const [fewMembers, manyMembers] = [16, 4_096];

/**
 * The members of a collection, as positions in bytes: in one reply, or in bytes copied from many replies. Hash fields
 * alternate with their values, and members with their scores (`stride` 2).
 */
export class Members {
  bytes: Buffer = Buffer.alloc(0);
  stride: 1 | 2 = 1;
  /** The number of pieces; a member has `stride` pieces. */
  pieces = 0;
  starts = new Uint32Array(256);
  ends = new Uint32Array(256);
  #own: Buffer = Buffer.alloc(0);
  #used = 0;

  /** The number of members. */
  get length(): number {
    return this.pieces / this.stride;
  }

  /** The bytes of one piece. */
  piece(index: number): Buffer {
    return this.bytes.subarray(this.starts[index], this.ends[index]);
  }

  /** Approximate size of all pieces in bytes. */
  get span(): number {
    return this.pieces === 0 ? 0 : this.ends[this.pieces - 1]! - this.starts[0]!;
  }

  /** Exact size of all pieces in bytes, without the bytes between them. */
  get size(): number {
    let size = 0;
    for (let piece = 0; piece < this.pieces; piece++) size += this.ends[piece]! - this.starts[piece]!;
    return size;
  }

  /** Starts anew with pieces that are positions in `bytes`; `bytes` must not move before the pieces are used. */
  over(bytes: Buffer, stride: 1 | 2): void {
    this.bytes = bytes;
    this.stride = stride;
    this.pieces = 0;
  }

  add(start: number, end: number): void {
    if (this.pieces === this.starts.length) this.#grow(this.pieces * 2);
    this.starts[this.pieces] = start;
    this.ends[this.pieces++] = end;
  }

  /** Starts anew with pieces that are copied. */
  gather(stride: 1 | 2): void {
    this.#used = 0;
    this.over(this.#own, stride);
  }

  copy(source: Uint8Array, start: number, end: number): void {
    const used = this.#used + end - start;
    if (used > this.#own.byteLength) this.#enlarge(Math.max(used, this.#own.byteLength * 2, 1 << 12));
    this.#own.set(source.subarray(start, end), this.#used);
    this.add(this.#used, used);
    this.#used = used;
  }

  /** Copies the pieces out of bytes that are about to move. */
  detach(): void {
    if (this.bytes === this.#own) return;
    const { bytes, pieces } = this;
    const [starts, ends] = [this.starts.slice(0, pieces), this.ends.slice(0, pieces)];
    this.gather(this.stride);
    for (let piece = 0; piece < pieces; piece++) this.copy(bytes, starts[piece]!, ends[piece]!);
  }

  /** Ends the use of the pieces. Memory of a large collection is not kept while its row is written. */
  release(): void {
    this.pieces = 0;
    if (this.#own.byteLength <= keptBytes) return;
    this.#own = Buffer.alloc(0);
    this.bytes = this.#own;
    this.starts = new Uint32Array(256);
    this.ends = new Uint32Array(256);
  }

  /** The number of bytes that were copied. */
  get copied(): number {
    return this.#used;
  }

  /** Makes room for all pieces at once, assuming the average size so far. Growth in steps would leave garbage. */
  expect(pieces: number): void {
    if (pieces > this.starts.length) this.#grow(pieces);
    const bytes = Math.ceil((this.#used / this.pieces) * pieces * 1.05);
    if (bytes > this.#own.byteLength) this.#enlarge(bytes);
  }

  /**
   * The members ordered by their bytes, as indexes of their first pieces. A scan in parts may return a member twice;
   * the last one counts.
   */
  sorted(): Uint32Array {
    const order = new Uint32Array(this.length);
    for (let index = 0; index < order.length; index++) order[index] = index * this.stride;
    if (order.length > 1) this.#sort(order, 0, order.length, 0);
    let kept = 0;
    for (let index = 0; index < order.length; index++) {
      const piece = order[index]!;
      if (kept === 0 || this.#compare(order[kept - 1]!, piece, 0) !== 0) order[kept++] = piece;
      else if (piece > order[kept - 1]!) order[kept - 1] = piece;
    }
    return order.subarray(0, kept);
  }

  /** A radix sort by one byte after the other, as long as the groups are large. */
  #sort(order: Uint32Array, from: number, to: number, depth: number): void {
    if (to - from < manyMembers) return this.#quicksort(order, from, to, depth);
    const { bytes, starts, ends } = this;
    // Group 0: members that end here, so they are equal; then one group for each byte.
    const next = new Uint32Array(258);
    for (let at = from; at < to; at++) {
      const piece = order[at]!;
      const place = starts[piece]! + depth;
      next[place < ends[piece]! ? bytes[place]! + 2 : 1]! += 1;
    }
    for (let group = 1; group < 258; group++) next[group]! += next[group - 1]!;
    const bounds = next.slice();
    const before = order.slice(from, to);
    for (let at = 0; at < before.length; at++) {
      const piece = before[at]!;
      const place = starts[piece]! + depth;
      order[from + next[place < ends[piece]! ? bytes[place]! + 1 : 0]!++] = piece;
    }
    for (let group = 1; group < 257; group++) {
      if (bounds[group + 1]! - bounds[group]! > 1)
        this.#sort(order, from + bounds[group]!, from + bounds[group + 1]!, depth + 1);
    }
  }

  /** Bentley and Sedgewick's quicksort of strings: in three parts, by the byte at `depth`. */
  #quicksort(order: Uint32Array, from: number, to: number, depth: number): void {
    const { bytes, starts, ends } = this;
    while (to - from > fewMembers) {
      const middle = order[(from + to) >> 1]!;
      const place = starts[middle]! + depth;
      const pivot = place < ends[middle]! ? bytes[place]! : -1;
      let [less, at, more] = [from, from, to];
      while (at < more) {
        const piece = order[at]!;
        const position = starts[piece]! + depth;
        const byte = position < ends[piece]! ? bytes[position]! : -1;
        if (byte === pivot) at += 1;
        else if (byte < pivot) {
          order[at++] = order[less]!;
          order[less++] = piece;
        } else {
          order[at] = order[--more]!;
          order[more] = piece;
        }
      }
      this.#quicksort(order, from, less, depth);
      if (pivot >= 0) this.#quicksort(order, less, more, depth + 1);
      from = more;
    }
    this.#insertionSort(order, from, to, depth);
  }

  #insertionSort(order: Uint32Array, from: number, to: number, depth: number): void {
    for (let at = from + 1; at < to; at++) {
      const piece = order[at]!;
      let hole = at;
      while (hole > from && this.#compare(order[hole - 1]!, piece, depth) > 0) {
        order[hole] = order[hole - 1]!;
        hole -= 1;
      }
      order[hole] = piece;
    }
  }

  #compare(a: number, b: number, depth: number): number {
    const { bytes, starts, ends } = this;
    let left = starts[a]! + depth;
    let right = starts[b]! + depth;
    const [leftEnd, rightEnd] = [ends[a]!, ends[b]!];
    for (; left < leftEnd && right < rightEnd; left++, right++) {
      const difference = bytes[left]! - bytes[right]!;
      if (difference !== 0) return difference;
    }
    return leftEnd - left - (rightEnd - right);
  }

  #enlarge(bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(bytes);
    larger.set(this.#own.subarray(0, this.#used));
    this.#own = larger;
    this.bytes = larger;
  }

  #grow(pieces: number): void {
    const [starts, ends] = [new Uint32Array(pieces), new Uint32Array(pieces)];
    starts.set(this.starts);
    ends.set(this.ends);
    this.starts = starts;
    this.ends = ends;
  }
}
