/** The line below the console: what the machine consists of and what it has done. */
import type { MachineStats } from '../control/stats.ts';
import type { ConsoleSize } from '../machine/default-guest.ts';
import { element, setText } from './dom.ts';
import { formatBytes, formatCount } from './text.ts';

function item(label: string): { readonly node: HTMLElement; readonly value: HTMLElement } {
  const value = element('b', {}, '-');
  const node = element(
    'span',
    { class: 'strip-item' },
    element('span', { class: 'strip-label' }, `${label} `),
    value,
  );
  return { node, value };
}

export class StatusStrip {
  readonly node: HTMLElement;
  readonly #memory = item('memory');
  readonly #instructions = item('instructions');
  readonly #decoded = item('decoded');
  readonly #interrupts = item('interrupts');
  readonly #exceptions = item('exceptions');
  readonly #serial = item('ttyS0');

  readonly #size = item('console');
  readonly #tell = element('button', { type: 'button', class: 'strip-button' }, 'Tell the guest');

  /** `tellSize`: the guest is to be told the size of the console. */
  constructor(tellSize: () => void) {
    this.#tell.addEventListener('click', tellSize);
    this.#size.node.classList.add('strip-size');
    this.node = element(
      'footer',
      { class: 'strip', 'aria-label': 'Figures' },
      element(
        'div',
        { class: 'strip-figures' },
        this.#memory.node,
        this.#instructions.node,
        this.#interrupts.node,
        this.#serial.node,
        this.#exceptions.node,
        this.#decoded.node,
      ),
      this.#size.node,
      this.#tell,
    );
  }

  /** `isNews`: the guest was not told yet; `canTell`: there is one to tell. */
  setConsoleSize(
    { columns, rows }: ConsoleSize,
    { isNews, canTell }: { readonly isNews: boolean; readonly canTell: boolean },
  ): void {
    this.#tell.disabled = !canTell;
    setText(this.#size.value, `${columns} × ${rows}`);
    this.#tell.dataset['news'] = String(isNews);
    this.#tell.title = `${
      isNews ? 'The guest does not know that its console is this large. ' : ''
    }Types “stty rows ${rows} cols ${columns}” at the guest’s shell, so that programs like vi and top use all of the console.`;
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
