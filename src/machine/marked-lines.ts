/** Picks the lines with a marker out of the guest's output, which arrives in pieces. */
export class MarkedLines {
  readonly #marker: string;
  readonly #onLine: (line: string) => void;
  readonly #decoder = new TextDecoder('latin1');
  #rest = '';

  constructor(marker: string, onLine: (line: string) => void) {
    this.#marker = marker;
    this.#onLine = onLine;
  }

  /** What stands before the marker in its line (a message of the kernel, say) is left out. */
  push(bytes: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(bytes)).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const at = line.indexOf(this.#marker);
      if (at >= 0) this.#onLine(line.slice(at).trimEnd());
    }
  }
}
