/**
 * What a serial console shows, as lines of text: printable characters, the C0 controls that move the cursor inside its line
 * (ECMA-48, 8.3), and the erase functions EL and ED. Everything else of a control sequence is dropped: a program that paints the whole
 * screen needs a terminal, a log or a test does not.
 */
export const CONSOLE_LINES = 10_000;

const TAB_STOP = 8;
/** A control sequence that is longer than this is none. */
const SEQUENCE_MAX = 64;

// oxlint-disable-next-line no-control-regex -- the parameter bytes, intermediate bytes and final byte of a control sequence
const CSI = /^\x1b\[([\x30-\x3f]*)[\x20-\x2f]*([\x40-\x7e])/;
// oxlint-disable-next-line no-control-regex -- operating system commands end with BEL or ST
const OSC = /^\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/;
// oxlint-disable-next-line no-control-regex -- other escape sequences: intermediate bytes, then a final byte
const ESCAPE = /^\x1b[\x20-\x2f]*[\x30-\x7e]/;

export class ConsoleText {
  readonly #decoder = new TextDecoder();
  readonly #limit: number;
  #lines: string[] = [];
  #line: string[] = [];
  #column = 0;
  /** The beginning of a control sequence whose end has not come yet. */
  #unfinished = '';

  constructor(limit = CONSOLE_LINES) {
    this.#limit = limit;
  }

  push(bytes: Uint8Array): void {
    let rest = this.#unfinished + this.#decoder.decode(bytes, { stream: true });
    this.#unfinished = '';
    while (rest !== '') {
      if (!rest.startsWith('\x1b')) {
        const end = rest.indexOf('\x1b');
        const text = end < 0 ? rest : rest.slice(0, end);
        for (const character of text) this.#put(character);
        rest = rest.slice(text.length);
        continue;
      }
      const sequence = CSI.exec(rest);
      const found = sequence ?? (rest[1] === '[' ? null : (OSC.exec(rest) ?? escapeSequence(rest)));
      if (found === null) {
        if (rest.length < SEQUENCE_MAX) {
          this.#unfinished = rest;
          return;
        }
        rest = rest.slice(1);
        continue;
      }
      if (sequence !== null) this.#control(sequence[1]!, sequence[2]!);
      rest = rest.slice(found[0].length);
    }
  }

  clear(): void {
    this.#lines = [];
    this.#line = [];
    this.#column = 0;
    this.#unfinished = '';
  }

  /** The last CONSOLE_LINES lines, without trailing blanks. */
  text(): string {
    return [...this.#lines, this.#line.join('').trimEnd()].join('\n').trimEnd();
  }

  #put(character: string): void {
    switch (character) {
      case '\n':
        this.#lines.push(this.#line.join('').trimEnd());
        // A whole block at a time: shift() on every line would move all of them.
        if (this.#lines.length >= 2 * this.#limit) this.#lines = this.#lines.slice(-this.#limit);
        this.#line = Array.from({ length: this.#column }, () => ' ');
        break;
      case '\r':
        this.#column = 0;
        break;
      case '\b':
        this.#column = Math.max(0, this.#column - 1);
        break;
      case '\t':
        this.#column += TAB_STOP - (this.#column % TAB_STOP);
        break;
      default:
        if (character < ' ' || character === '\x7f') return;
        while (this.#line.length < this.#column) this.#line.push(' ');
        this.#line[this.#column++] = character;
    }
  }

  #control(parameters: string, final: string): void {
    const number = Number.parseInt(parameters, 10);
    const count = Number.isNaN(number) ? 1 : number;
    switch (final) {
      // CUF, CUB: within the line.
      case 'C':
        this.#column += count;
        break;
      case 'D':
        this.#column = Math.max(0, this.#column - count);
        break;
      // EL and ED: to the end, or all; of ED only what concerns this line, as nothing below it is kept.
      case 'K':
      case 'J':
        if (Number.isNaN(number) || number === 0)
          this.#line.length = Math.min(this.#line.length, this.#column);
        else if (number === 2) this.#line = [];
        break;
      default:
        break;
    }
  }
}

/** OSC sequences also look like an escape sequence at their beginning. */
function escapeSequence(text: string): RegExpExecArray | null {
  return text[1] === ']' ? null : ESCAPE.exec(text);
}
