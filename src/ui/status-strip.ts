/** The line below the console: what the machine consists of and what it has done. */
import type { MachineStats } from '../control/stats.ts';
import { element, setText } from './dom.ts';
import { formatBytes, formatCount } from './text.ts';

function item(label: string, extra = false): { readonly node: HTMLElement; readonly value: HTMLElement } {
  const value = element('b', {}, '-');
  const node = element(
    'span',
    { class: extra ? 'strip-item strip-extra' : 'strip-item' },
    `${label} `,
    value,
  );
  return { node, value };
}

export class StatusStrip {
  readonly node: HTMLElement;
  readonly #memory = item('memory');
  readonly #instructions = item('instructions');
  readonly #decoded = item('decoded', true);
  readonly #interrupts = item('interrupts', true);
  readonly #exceptions = item('exceptions', true);
  readonly #serial = item('ttyS0', true);

  readonly #size = element('button', {
    type: 'button',
    class: 'strip-item strip-button',
    title: 'Types stty at the guest’s shell, so that its programs know the size of this console',
  });

  /** `tellSize`: the guest is to be told the size of the console. */
  constructor(tellSize: () => void) {
    this.#size.addEventListener('click', tellSize);
    this.node = element(
      'footer',
      { class: 'strip', 'aria-label': 'Figures' },
      this.#memory.node,
      this.#instructions.node,
      this.#decoded.node,
      this.#interrupts.node,
      this.#exceptions.node,
      this.#serial.node,
      this.#size,
    );
  }

  setConsoleSize(columns: number, rows: number): void {
    setText(this.#size, `${columns} × ${rows}`);
    this.#size.ariaLabel = `${columns} × ${rows}: tell the guest`;
  }

  setMemory(bytes: number, cpus: number): void {
    setText(this.#memory.value, `${formatBytes(bytes)}, ${cpus} vCPU${cpus === 1 ? '' : 's'}`);
  }

  setStats(stats: MachineStats, serialBytes: number): void {
    setText(this.#instructions.value, formatCount(stats.instructions));
    setText(this.#decoded.value, formatCount(stats.instructionsDecoded));
    setText(this.#interrupts.value, formatCount(stats.interrupts));
    setText(this.#exceptions.value, formatCount(stats.exceptions));
    setText(this.#serial.value, formatBytes(serialBytes));
  }
}
