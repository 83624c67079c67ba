/** The bar above the console: what the machine is doing, and its buttons. */
import type { JitMode } from '../config/vm-config.ts';
import { isLegal } from '../control/commands.ts';
import type { MachineStatus } from '../control/status.ts';
import { button, element, ICON, icon, setText } from './dom.ts';
import { formatMips, statusWord } from './text.ts';

/** What the bar's buttons ask of the machine. */
export type ButtonCommand = 'start' | 'pause' | 'resume' | 'reset' | 'powerOff';

export interface BarActions {
  command(command: ButtonCommand): void;
  openSearch(): void;
  toggleFullScreen(): void;
}

export interface Activity {
  /** Requests, or frames, since the last look. */
  readonly disk: number;
  readonly network: number;
}

const JIT_TEXTS: { readonly [M in JitMode]: string } = {
  on: '',
  off: 'Everything is interpreted: the guest is slower than it could be (Settings, JIT).',
  verify:
    'Translated code is compared with the interpreter: the guest is many times slower, and its clock passes 16 times more slowly (Settings, JIT).',
};

const QUIET = 'button button-icon button-quiet';

export function brand(): HTMLElement {
  return element('h1', { class: 'brand' }, icon(ICON.brand), element('span', {}, 'Virtab'));
}

function light(name: string): HTMLElement {
  return element(
    'span',
    { class: 'light', role: 'img', 'aria-label': `${name}: idle`, title: `${name}: idle`, 'data-name': name },
    name,
  );
}

export class MachineBar {
  readonly node: HTMLElement;
  readonly #name = element('span', { class: 'machine-name' });
  readonly #word = element('span', { class: 'status-word' }, 'Off');
  readonly #light = element('span', { class: 'status-light', 'aria-hidden': 'true' });
  readonly #reason = element('span', { class: 'status-reason' });
  readonly #mips = element('span', { class: 'mips-value' }, '0.0');
  readonly #jit = element('span', { class: 'bar-badge', hidden: true });
  readonly #disk = light('disk');
  readonly #network = light('net');
  readonly #run = button('Start', ICON.play, () => this.#runClicked(), 'button button-primary button-run');
  readonly #reset: HTMLButtonElement;
  readonly #power: HTMLButtonElement;
  readonly #actions: BarActions;
  #status: MachineStatus = { state: 'off' };
  #canStart = false;

  /** `toggles` open the pages of the panel. */
  constructor(actions: BarActions, toggles: readonly HTMLElement[]) {
    this.#actions = actions;
    this.#reset = button('Reset', ICON.reset, () => actions.command('reset'), QUIET).node;
    this.#power = button('Power off', ICON.power, () => actions.command('powerOff'), QUIET).node;
    // Their labels are hidden: the title would be their name.
    this.#reset.ariaLabel = 'Reset';
    this.#power.ariaLabel = 'Power off';
    this.#reset.title = 'Reset: the guest is not asked. In the guest, type reboot.';
    this.#power.title = 'Power off: pulls the plug, the guest is not asked. In the guest, type poweroff.';
    const search = button('Search', ICON.search, () => actions.openSearch(), QUIET).node;
    const full = button('Full screen', ICON.fullscreen, () => actions.toggleFullScreen(), QUIET).node;
    full.hidden = !document.fullscreenEnabled;
    this.node = element(
      'header',
      { class: 'bar' },
      brand(),
      this.#name,
      element(
        'div',
        { class: 'status' },
        this.#light,
        element('span', { class: 'status-text', role: 'status' }, this.#word, this.#reason),
        this.#jit,
      ),
      element('div', { class: 'lights' }, this.#disk, this.#network),
      element(
        'div',
        { class: 'mips', title: 'Millions of guest instructions per second' },
        this.#mips,
        ' MIPS',
      ),
      element(
        'div',
        { class: 'buttons', role: 'toolbar', 'aria-label': 'Machine' },
        this.#run.node,
        this.#reset,
        this.#power,
      ),
      element('div', { class: 'buttons', role: 'toolbar', 'aria-label': 'Console' }, search, full),
      element('div', { class: 'buttons bar-panels', role: 'toolbar', 'aria-label': 'Panels' }, ...toggles),
    );
    this.setStatus(this.#status, '');
    this.setActivity({ disk: 0, network: 0 });
  }

  setName(name: string): void {
    setText(this.#name, name);
    this.#name.title = name;
  }

  /** Whether there is something to start. */
  setCanStart(can: boolean): void {
    this.#canStart = can;
    this.setStatus(this.#status, this.#reason.textContent);
  }

  setStatus(status: MachineStatus, reason: string): void {
    this.#status = status;
    const { state } = status;
    const isBad =
      (state === 'off' && status.problem !== undefined) ||
      (state === 'shutdown' && status.reason.kind === 'triple-fault');
    this.node.dataset['state'] = isBad ? 'problem' : state;
    setText(this.#word, statusWord(status));
    setText(this.#reason, reason);
    this.#reason.title = reason;
    if (state === 'running') this.#run.setLabel('Pause', ICON.pause);
    else if (state === 'paused') this.#run.setLabel('Resume', ICON.play);
    else this.#run.setLabel('Start', ICON.play);
    this.#run.node.disabled =
      state === 'loading' || (state !== 'running' && state !== 'paused' && !this.#canStart);
    this.#reset.disabled = !isLegal('reset', state);
    this.#power.disabled = !isLegal('powerOff', state);
    if (state !== 'running') {
      this.setMips(0);
      this.setActivity({ disk: 0, network: 0 });
    }
  }

  /** To the first button that can be used. */
  focus(): void {
    this.node.querySelector<HTMLButtonElement>('button:not(:disabled)')?.focus();
  }

  /** What makes the machine slower than it could be must be seen. */
  setJit(mode: JitMode): void {
    this.#jit.hidden = mode === 'on';
    setText(this.#jit, `JIT ${mode}`);
    this.#jit.title = JIT_TEXTS[mode];
  }

  setMips(mips: number): void {
    setText(this.#mips, formatMips(mips));
  }

  setActivity({ disk, network }: Activity): void {
    for (const [node, count] of [
      [this.#disk, disk],
      [this.#network, network],
    ] as const) {
      const label = `${node.dataset['name']}: ${count > 0 ? 'busy' : 'idle'}`;
      if (node.title === label) continue;
      node.title = label;
      node.ariaLabel = label;
      node.dataset['busy'] = String(count > 0);
    }
  }

  #runClicked(): void {
    switch (this.#status.state) {
      case 'running':
        this.#actions.command('pause');
        break;
      case 'paused':
        this.#actions.command('resume');
        break;
      case 'loading':
        break;
      default:
        this.#actions.command('start');
    }
  }
}
