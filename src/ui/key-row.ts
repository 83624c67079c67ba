/** Keys that a touch keyboard does not have. Ctrl sticks until the next key. */
import { element } from './dom.ts';

interface Key {
  readonly label: string;
  readonly name: string;
  readonly sequence: string;
}

const KEYS: readonly Key[] = [
  { label: 'Esc', name: 'Escape', sequence: '\x1b' },
  { label: 'Tab', name: 'Tab', sequence: '\t' },
  { label: '↑', name: 'Up arrow', sequence: '\x1b[A' },
  { label: '↓', name: 'Down arrow', sequence: '\x1b[B' },
  { label: '←', name: 'Left arrow', sequence: '\x1b[D' },
  { label: '→', name: 'Right arrow', sequence: '\x1b[C' },
];

export class KeyRow {
  readonly node: HTMLElement;
  readonly #control: HTMLButtonElement;

  constructor(send: (bytes: Uint8Array) => void, focus: () => void) {
    const encoder = new TextEncoder();
    this.#control = element(
      'button',
      { type: 'button', class: 'key', 'aria-pressed': 'false', 'aria-label': 'Control, for the next key' },
      'Ctrl',
    );
    this.#control.addEventListener('click', () => {
      this.#control.ariaPressed = this.#control.ariaPressed === 'true' ? 'false' : 'true';
      focus();
    });
    const keys = KEYS.map((key) => {
      const node = element('button', { type: 'button', class: 'key', 'aria-label': key.name }, key.label);
      node.addEventListener('click', () => {
        send(encoder.encode(key.sequence));
        focus();
      });
      return node;
    });
    this.node = element(
      'div',
      { class: 'keys', role: 'toolbar', 'aria-label': 'Keys' },
      this.#control,
      ...keys,
    );
  }

  /** Applies a pending Ctrl to what was typed. */
  apply(bytes: Uint8Array): Uint8Array {
    if (this.#control.ariaPressed !== 'true' || bytes.length !== 1) return bytes;
    this.#control.ariaPressed = 'false';
    const byte = bytes[0]!;
    const upper = byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte;
    // Control characters are the columns 40h to 5Fh of ASCII without bit 6.
    return upper >= 0x40 && upper <= 0x5f ? Uint8Array.of(upper & 0x1f) : bytes;
  }
}
