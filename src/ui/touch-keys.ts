/** Keys that a touch keyboard does not have. Ctrl sticks until the next key. */
import { element } from './dom.ts';

interface Key {
  readonly label: string;
  readonly name: string;
  /** What a VT100 sends; `application` where the cursor keys are in application mode (DECCKM). */
  readonly sequence: string;
  readonly application?: string;
}

const KEYS: readonly Key[] = [
  { label: 'Esc', name: 'Escape', sequence: '\x1b' },
  { label: 'Tab', name: 'Tab', sequence: '\t' },
  { label: '↑', name: 'Up arrow', sequence: '\x1b[A', application: '\x1bOA' },
  { label: '↓', name: 'Down arrow', sequence: '\x1b[B', application: '\x1bOB' },
  { label: '←', name: 'Left arrow', sequence: '\x1b[D', application: '\x1bOD' },
  { label: '→', name: 'Right arrow', sequence: '\x1b[C', application: '\x1bOC' },
];

export interface TouchKeysActions {
  send(bytes: Uint8Array): void;
  /** Full-screen programs of the guest ask for other sequences of the cursor keys. */
  inApplicationMode(): boolean;
}

export class TouchKeys {
  readonly node: HTMLElement;
  readonly #control = element(
    'button',
    { type: 'button', class: 'key', 'aria-pressed': 'false', 'aria-label': 'Control, for the next key' },
    'Ctrl',
  );

  constructor(actions: TouchKeysActions) {
    const encoder = new TextEncoder();
    this.#control.addEventListener('click', () => this.#setControl(this.#control.ariaPressed !== 'true'));
    const keys = KEYS.map(({ label, name, sequence, application }) => {
      const node = element('button', { type: 'button', class: 'key', 'aria-label': name }, label);
      node.addEventListener('click', () => {
        const bytes = actions.inApplicationMode() ? (application ?? sequence) : sequence;
        actions.send(encoder.encode(bytes));
        // It was meant for a character.
        this.#setControl(false);
      });
      return node;
    });
    this.node = element(
      'div',
      { class: 'keys', role: 'toolbar', 'aria-label': 'Keys' },
      this.#control,
      ...keys,
    );
    // The console keeps the focus, and the keyboard of the phone stays up.
    this.node.addEventListener('pointerdown', (event) => event.preventDefault());
    this.node.addEventListener('mousedown', (event) => event.preventDefault());
  }

  /** Applies a pending Ctrl to what was typed. */
  apply(bytes: Uint8Array): Uint8Array {
    if (this.#control.ariaPressed !== 'true' || bytes.length !== 1) return bytes;
    this.#setControl(false);
    const byte = bytes[0]!;
    // Ctrl-? is DEL.
    if (byte === 0x3f) return Uint8Array.of(0x7f);
    const upper = byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte;
    // Ctrl-Space is NUL; other control characters are the columns 40h to 5Fh of ASCII without bit 6.
    if (upper === 0x20) return Uint8Array.of(0);
    return upper >= 0x40 && upper <= 0x5f ? Uint8Array.of(upper & 0x1f) : bytes;
  }

  #setControl(pressed: boolean): void {
    this.#control.ariaPressed = String(pressed);
  }
}
