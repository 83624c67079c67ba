/** stdin and stdout as the guest's serial port (`-serial stdio`, in QEMU's `mon:stdio` way: Ctrl-A is the escape). */
import { writeSync } from 'node:fs';

const ESCAPE = 0x01;

const HELP = `
Ctrl-A x  quit
Ctrl-A h  this help
Ctrl-A Ctrl-A  send Ctrl-A
`;

export interface TerminalActions {
  send(bytes: Uint8Array): void;
  quit(): void;
}

/** Finds QEMU's escape sequences among the bytes typed; everything else is the guest's. */
export class EscapeFilter {
  #isEscaped = false;
  readonly #actions: TerminalActions;
  readonly #help: (text: string) => void;

  constructor(actions: TerminalActions, help: (text: string) => void) {
    this.#actions = actions;
    this.#help = help;
  }

  push(bytes: Uint8Array): void {
    const out: number[] = [];
    for (const byte of bytes) {
      if (!this.#isEscaped) {
        if (byte === ESCAPE) this.#isEscaped = true;
        else out.push(byte);
        continue;
      }
      this.#isEscaped = false;
      if (byte === ESCAPE) out.push(ESCAPE);
      else if (byte === 0x78) {
        this.#actions.quit();
        return;
      } else if (byte === 0x68 || byte === 0x3f) this.#help(HELP.replaceAll('\n', '\r\n'));
    }
    if (out.length > 0) this.#actions.send(Uint8Array.from(out));
  }
}

/** Connects the terminal; the result puts it back as it was. */
export function connectTerminal(actions: TerminalActions): () => void {
  const { stdin } = process;
  const isTerminal = stdin.isTTY;
  const filter = new EscapeFilter(actions, (text) => void writeOut(Buffer.from(text)));
  const onData = (data: Buffer): void => {
    // The escape is a terminal's: a pipe may carry any byte.
    if (isTerminal) filter.push(data);
    else actions.send(Uint8Array.from(data));
  };
  if (isTerminal) stdin.setRawMode(true);
  stdin.on('data', onData);
  // A pipe that ends says nothing more; the machine goes on.
  stdin.resume();
  return () => {
    stdin.off('data', onData);
    if (isTerminal) stdin.setRawMode(false);
    stdin.pause();
  };
}

/** Writes all of it before it returns, so that nothing is lost when the process ends. False: nobody reads it any more. */
export function writeOut(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code !== 'EAGAIN') return code !== 'EPIPE';
      // A pipe whose reader is slow.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
  return true;
}
