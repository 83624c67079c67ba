/** The page: puts the parts together and turns the machine's events into what is shown. */
import { createMachine } from '../api/create-machine.ts';
import type { VirtualMachine } from '../api/create-machine.ts';
import type { VmConfig } from '../config/vm-config.ts';
import type { HaltState } from '../control/stats.ts';
import type { LoadStep, MachineStatus, Problem } from '../control/status.ts';
import { fileFromBlob } from '../machine/boot-file.ts';
import type { BootFile } from '../machine/boot-file.ts';
import type { DefaultGuest } from '../machine/default-guest.ts';
import { BootProgress } from './boot-progress.ts';
import { element, ICON } from './dom.ts';
import { acceptDrops } from './drop.ts';
import { GuestDialog } from './guest-dialog.ts';
import type { FileChoice, GuestChoice } from './guest-dialog.ts';
import { KeyRow } from './key-row.ts';
import { brand, MachineBar } from './machine-bar.ts';
import type { ButtonCommand } from './machine-bar.ts';
import { Notice } from './notice.ts';
import type { NoticeAction } from './notice.ts';
import { PROBLEM_TITLES } from './problem-texts.ts';
import { SearchBar } from './search-bar.ts';
import { sniff, SNIFF_BYTES } from './sniff.ts';
import { StatusStrip } from './status-strip.ts';
import { Console } from './terminal.ts';
import { describeShutdown, STEP_NAMES } from './text.ts';

const MIB = 1024 * 1024;
const FIGURES_MS = 500;

export interface PageOptions {
  readonly config: VmConfig;
  readonly memoryLimits: { readonly minimumMiB: number; readonly maximumMiB: number };
  readonly defaultGuest: DefaultGuest | undefined;
  /** What the address of the page says wrongly. */
  readonly configProblem?: Problem;
  /** Kernel and initrd named by the address of the page. */
  readonly kernel?: BootFile;
  readonly initrd?: BootFile;
}

export class Page {
  readonly #options: PageOptions;
  readonly #bar: MachineBar;
  readonly #strip = new StatusStrip();
  readonly #console: Console;
  readonly #search: SearchBar;
  readonly #boot: BootProgress;
  readonly #notice: Notice;
  readonly #dialog: GuestDialog;
  readonly #keys: KeyRow;
  #machine: VirtualMachine | undefined;
  #choice: GuestChoice;
  #serialBytes = 0;

  constructor(root: HTMLElement, options: PageOptions) {
    this.#options = options;
    const { config, defaultGuest } = options;
    this.#choice = {
      kernel: options.kernel !== undefined || defaultGuest !== undefined ? 'default' : undefined,
      initrd:
        (options.kernel === undefined ? defaultGuest?.initrd : options.initrd) === undefined
          ? undefined
          : 'default',
      commandLine:
        config.commandLine ??
        (options.kernel === undefined ? (defaultGuest?.commandLine ?? 'console=ttyS0') : ''),
      memoryMiB: config.memoryBytes / MIB,
    };
    this.#bar = new MachineBar({
      command: (command) => this.#command(command),
      openGuest: () => this.#openGuest(this.#choice),
      openSearch: () => this.#search.open(),
      toggleFullScreen: () => toggleFullScreen(),
    });
    const consoleNode = element('div', { class: 'console' });
    this.#console = new Console(consoleNode, {
      send: (bytes) => this.#type(this.#keys.apply(bytes)),
      search: () => this.#search.open(),
    });
    this.#search = new SearchBar(this.#console);
    this.#keys = new KeyRow(
      (bytes) => this.#type(bytes),
      () => this.#console.focus(),
    );
    const stage = element('main', { class: 'stage' }, consoleNode, this.#search.node);
    this.#boot = new BootProgress(stage);
    this.#notice = new Notice(stage);
    root.replaceChildren(
      element('div', { class: 'page' }, this.#bar.node, stage, this.#keys.node, this.#strip.node),
    );
    this.#dialog = new GuestDialog(document.body, {
      ...this.#defaultLabels(),
      memoryLimits: options.memoryLimits,
      start: (choice) => void this.#startChoice(choice),
    });
    acceptDrops(document.body, (files) => void this.#dropped(files));
    this.#console.open();
    setInterval(() => this.#showFigures(), FIGURES_MS);
    // A worker that waits in Atomics.wait holds the next page back for seconds: let it go.
    window.addEventListener('pagehide', (event) => {
      if (!event.persisted) void this.#machine?.powerOff();
    });
  }

  /** What the page can be asked from outside: the suite uses it, and so may embedders. */
  get machine(): VirtualMachine | undefined {
    return this.#machine;
  }

  consoleText(): string {
    return this.#console.text();
  }

  /** Begins with what the address says, or with the default guest. */
  async begin(): Promise<void> {
    const { configProblem } = this.#options;
    if (configProblem !== undefined) {
      this.#showProblem(configProblem);
      return;
    }
    if (this.#choice.kernel === undefined) {
      this.#notice.show({
        kind: 'no-guest',
        tone: 'info',
        place: 'middle',
        title: PROBLEM_TITLES['no-guest'],
        message:
          'This site comes without a default guest: it is made from Debian packages, which needs apt on the computer that serves the page.',
        advice:
          'Give the machine a Linux kernel (bzImage or vmlinux, for x86-64) and an initial RAM disk: drop both onto this page, or choose them.',
        actions: [this.#chooseAction(true)],
      });
      return;
    }
    await this.#startChoice(this.#choice);
  }

  #defaultLabels(): { readonly defaultKernel?: string; readonly defaultInitrd?: string } {
    const { kernel, initrd, defaultGuest } = this.#options;
    if (kernel !== undefined) {
      return { defaultKernel: kernel.name, ...(initrd === undefined ? {} : { defaultInitrd: initrd.name }) };
    }
    if (defaultGuest === undefined) return {};
    return {
      defaultKernel: `Debian ${defaultGuest.release}`,
      defaultInitrd: `busybox (${defaultGuest.initrd.name})`,
    };
  }

  #bootFile(choice: FileChoice, which: 'kernel' | 'initrd'): BootFile | undefined {
    if (choice === undefined) return undefined;
    if (choice !== 'default') return fileFromBlob(choice.name, choice);
    return this.#options.kernel === undefined ? this.#options.defaultGuest?.[which] : this.#options[which];
  }

  async #startChoice(choice: GuestChoice): Promise<void> {
    this.#choice = choice;
    const kernel = this.#bootFile(choice.kernel, 'kernel');
    const initrd = this.#bootFile(choice.initrd, 'initrd');
    if (kernel === undefined) return;
    await this.#machine?.stop();
    const { kernel: _kernel, initrd: _initrd, ...rest } = this.#options.config;
    const machine = createMachine({
      ...rest,
      commandLine: choice.commandLine,
      memoryBytes: choice.memoryMiB * MIB,
      kernel,
      ...(initrd === undefined ? {} : { initrd }),
      // A person wants to see why; QEMU's default, to reboot, would only loop.
      tripleFault: 'stop',
    });
    this.#machine = machine;
    this.#listen(machine);
    this.#bar.setCanStart(true);
    this.#strip.setMemory(machine.config.memoryBytes, machine.config.cpus);
    this.#console.clear();
    this.#serialBytes = 0;
    this.#notice.hide();
    this.#command('start');
  }

  #command(command: ButtonCommand): void {
    const machine = this.#machine;
    if (machine === undefined) return;
    if (command === 'start') this.#beginBoot();
    void machine[command]();
    this.#console.focus();
  }

  #type(bytes: Uint8Array): void {
    this.#machine?.serial.write(bytes);
  }

  #beginBoot(): void {
    this.#serialBytes = 0;
    const names = new Map<LoadStep, string>([['core', 'core.wasm, interpreter.wasm']]);
    const label = (choice: FileChoice, which: 'kernel' | 'initrd'): string =>
      choice === 'default' ? (this.#bootFile(choice, which)?.name ?? '') : (choice?.name ?? '');
    names.set('kernel', label(this.#choice.kernel, 'kernel'));
    if (this.#choice.initrd !== undefined) names.set('initrd', label(this.#choice.initrd, 'initrd'));
    names.set('memory', `${this.#choice.memoryMiB} MiB`);
    names.set('processor', 'x86-64, 1 vCPU');
    this.#boot.begin(names);
  }

  #listen(machine: VirtualMachine): void {
    // A machine that was replaced may still have something to say.
    const isOurs = (): boolean => machine === this.#machine;
    machine.on('serialOutput', ({ bytes }) => {
      if (!isOurs()) return;
      if (this.#serialBytes === 0) this.#boot.hide();
      this.#serialBytes += bytes.length;
      this.#console.write(bytes);
    });
    machine.on('status', ({ status }) => {
      if (isOurs()) this.#onStatus(status);
    });
    machine.on('reset', () => {
      if (isOurs()) this.#console.writeMark('reset');
    });
  }

  #onStatus(status: MachineStatus): void {
    this.#bar.setStatus(status, this.#statusReason(status));
    document.title = status.state === 'running' ? 'Virtab' : `${this.#titleWord(status)} - Virtab`;
    switch (status.state) {
      case 'off':
        this.#boot.hide();
        if (status.problem === undefined) this.#showEnd('off', 'Loading was stopped.');
        else this.#showProblem(status.problem);
        break;
      case 'loading':
        this.#notice.hide();
        this.#boot.update(status.progress);
        break;
      case 'running':
        this.#notice.hide();
        break;
      case 'paused':
        break;
      case 'shutdown':
        this.#boot.hide();
        if (status.reason.kind === 'triple-fault') {
          this.#notice.show({
            kind: 'triple-fault',
            tone: 'error',
            place: 'below',
            title: 'Triple fault',
            message: describeShutdown(status.reason),
            advice:
              'The guest could not handle an exception: mostly a bug in the guest, or a kernel for another CPU. The report has its registers.',
            ...(status.report === undefined ? {} : { report: status.report }),
            actions: [this.#startAction(), this.#chooseAction(false)],
          });
        } else this.#showEnd(status.reason.kind, describeShutdown(status.reason));
        break;
      case 'crashed':
        this.#boot.hide();
        this.#notice.show({
          kind: status.problem.kind,
          tone: 'error',
          place: 'below',
          title: PROBLEM_TITLES[status.problem.kind],
          message: status.problem.message,
          advice: status.problem.advice,
          report: status.report,
          actions: [this.#startAction()],
        });
        break;
    }
    this.#showFigures();
  }

  #titleWord(status: MachineStatus): string {
    if (status.state === 'loading') return STEP_NAMES[status.progress.step];
    return status.state === 'paused' ? 'Paused' : status.state === 'crashed' ? 'Crashed' : 'Off';
  }

  #statusReason(status: MachineStatus): string {
    switch (status.state) {
      case 'off':
        return status.problem === undefined ? '' : PROBLEM_TITLES[status.problem.kind];
      case 'loading':
        return STEP_NAMES[status.progress.step];
      case 'running':
        return this.#runningReason('no');
      case 'paused':
        return 'by you; the guest sees no time pass';
      case 'shutdown':
        return describeShutdown(status.reason);
      case 'crashed':
        return status.problem.message;
    }
  }

  #runningReason(halted: HaltState): string {
    const { kernel } = this.#choice;
    const name = kernel === 'default' ? (this.#defaultLabels().defaultKernel ?? '') : (kernel?.name ?? '');
    switch (halted) {
      case 'no':
        return name;
      case 'waiting':
        return `${name}, idle`;
      case 'for-good':
        return `${name}, halted with interrupts off: only a reset wakes it`;
    }
  }

  #showEnd(kind: string, message: string): void {
    this.#notice.show({
      kind,
      tone: 'info',
      place: 'below',
      title: 'Off',
      message,
      actions: [this.#startAction(), this.#chooseAction(false)],
    });
  }

  #showProblem(problem: Problem): void {
    this.#bar.setStatus({ state: 'off', problem }, PROBLEM_TITLES[problem.kind]);
    const actions =
      problem.kind === 'no-isolation' || problem.kind === 'missing-features'
        ? []
        : [this.#chooseAction(true)];
    if (this.#machine !== undefined) actions.push(this.#startAction('Try again', false));
    this.#notice.show({
      kind: problem.kind,
      tone: 'error',
      place: 'middle',
      title: PROBLEM_TITLES[problem.kind],
      message: problem.message,
      advice: problem.advice,
      ...(problem.report === undefined ? {} : { report: problem.report }),
      actions,
    });
  }

  #startAction(label = 'Start again', primary = true): NoticeAction {
    return { label, icon: ICON.play, primary, run: () => this.#command('start') };
  }

  #chooseAction(primary: boolean): NoticeAction {
    return { label: 'Choose a guest', icon: ICON.guest, primary, run: () => this.#openGuest(this.#choice) };
  }

  #openGuest(choice: GuestChoice): void {
    const state = this.#machine?.status.state;
    this.#dialog.open(choice, state === 'running' || state === 'paused');
  }

  /** Kernel and initrd go into the dialog; for anything else a sentence says why not. */
  async #dropped(files: readonly File[]): Promise<void> {
    let { kernel, initrd } = this.#choice;
    const refused: string[] = [];
    for (const file of files) {
      const kind = await sniffFile(file);
      if (kind.kind === 'kernel') kernel = file;
      else if (kind.kind === 'initrd') initrd = file;
      else if (kind.kind === 'unsupported')
        refused.push(`${file.name} is ${kind.what}, which the machine cannot use yet.`);
      else refused.push(`${file.name} is neither a Linux kernel nor an initial RAM disk.`);
    }
    // The initrd of another kernel would only confuse.
    if (kernel !== this.#choice.kernel && initrd === 'default') initrd = undefined;
    const isAccepted = kernel !== this.#choice.kernel || initrd !== this.#choice.initrd;
    if (refused.length > 0) {
      const state = this.#machine?.status.state;
      this.#notice.show({
        kind: 'drop-refused',
        tone: 'warning',
        place: state === 'running' || state === 'paused' || state === 'shutdown' ? 'below' : 'middle',
        title: refused.length === 1 ? 'This file was not used' : 'These files were not used',
        message: refused.join(' '),
        advice:
          'A kernel (bzImage or ELF vmlinux) and an initial RAM disk (cpio, compressed or not) can be started.',
        actions: [
          { label: 'Close', icon: ICON.close, run: () => this.#notice.hide() },
          this.#chooseAction(false),
        ],
      });
    }
    if (isAccepted) this.#openGuest({ ...this.#choice, kernel, initrd });
  }

  #showFigures(): void {
    const machine = this.#machine;
    if (machine === undefined) return;
    const stats = machine.stats();
    if (stats === undefined) return;
    const isRunning = machine.status.state === 'running';
    this.#bar.setMips(isRunning ? stats.mips : 0);
    this.#strip.setStats(stats, this.#serialBytes);
    if (!isRunning) return;
    this.#bar.setStatus(machine.status, this.#runningReason(stats.halted));
    if (this.#serialBytes === 0 && stats.halted !== 'for-good') this.#boot.running(stats.instructions);
    else this.#boot.hide();
  }
}

/** Instead of the page where the browser cannot run the machine at all. */
export function showProblemPage(root: HTMLElement, problem: Problem): void {
  const stage = element('main', { class: 'stage' });
  const bar = element('header', { class: 'bar' }, brand());
  bar.dataset['state'] = 'problem';
  root.replaceChildren(element('div', { class: 'page' }, bar, stage));
  new Notice(stage).show({
    kind: problem.kind,
    tone: 'error',
    place: 'middle',
    title: PROBLEM_TITLES[problem.kind],
    message: problem.message,
    advice: problem.advice,
    report: `${PROBLEM_TITLES[problem.kind]}\n${problem.message}\n${navigator.userAgent}`,
  });
}

async function sniffFile(file: File): Promise<ReturnType<typeof sniff>> {
  try {
    return sniff(new Uint8Array(await file.slice(0, SNIFF_BYTES).arrayBuffer()));
  } catch {
    // A folder, or a file that went away.
    return { kind: 'unknown' };
  }
}

function toggleFullScreen(): void {
  const done =
    document.fullscreenElement === null
      ? document.documentElement.requestFullscreen()
      : document.exitFullscreen();
  // The browser may refuse; the page then stays as it is.
  done.catch(() => undefined);
}
