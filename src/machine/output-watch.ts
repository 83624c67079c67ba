/** Finds a text in a stream of bytes, also where it is split between two pieces. */
export class OutputWatch {
  readonly #wanted: Uint8Array;
  /** The end of what was seen: one byte less than the text is long. */
  #tail = new Uint8Array(0);

  constructor(text: string) {
    this.#wanted = new TextEncoder().encode(text);
  }

  /** True once the text has been seen. */
  push(bytes: Uint8Array): boolean {
    const all = new Uint8Array(this.#tail.length + bytes.length);
    all.set(this.#tail);
    all.set(bytes, this.#tail.length);
    if (indexOf(all, this.#wanted) >= 0) return true;
    this.#tail = all.slice(Math.max(0, all.length - this.#wanted.length + 1));
    return false;
  }
}

function indexOf(bytes: Uint8Array, wanted: Uint8Array): number {
  for (let at = 0; at + wanted.length <= bytes.length; at++) {
    if (wanted.every((byte, index) => bytes[at + index] === byte)) return at;
  }
  return -1;
}
