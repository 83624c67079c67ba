/** The page: puts the parts together and turns the machine's events into what is shown. */
import type { VirtualMachine } from '../api/create-machine.ts';
import { MIB } from '../base/units.ts';
import type { DeviceInfo, MediumInfo } from '../control/info.ts';
import type { HaltState } from '../control/stats.ts';
import type { LoadStep, MachineStatus, Problem } from '../control/status.ts';
import type { DiskStore } from '../control/disk-store.ts';
import type { ConsoleSize } from '../machine/default-guest.ts';
import type { MachineStore } from '../store/machine-store.ts';
import { decodeMachine } from '../store/saved-machine.ts';
import type { SavedMachine } from '../store/saved-machine.ts';
import { ActivityPanel } from './activity/activity-panel.ts';
import { BootProgress } from './boot-progress.ts';
import { ask } from './confirm.ts';
import { DisksPanel } from './disks/disks-panel.ts';
import { renameImage } from './disks/drive-edits.ts';
import { SessionAttachments } from './disks/session-attachments.ts';
import { countOperations, DeviceWatch } from './device-watch.ts';
import { element, ICON } from './dom.ts';
import { acceptDrops } from './drop.ts';
import { refusalText, sortFiles } from './dropped-files.ts';
import { GuestDialog } from './guest-dialog.ts';
import type { GuestChoice } from './guest-dialog.ts';
import { brand, MachineBar } from './machine-bar.ts';
import type { ButtonCommand } from './machine-bar.ts';
import type { MachineSession } from './machine-session.ts';
import { MachinesPanel } from './machines/machines-panel.ts';
import type { MachinesActions } from './machines/machines-panel.ts';
import { Notice } from './notice.ts';
import type { NoticeAction } from './notice.ts';
import { SidePanel } from './panel/side-panel.ts';
import { PROBLEM_TITLES } from './problem-texts.ts';
import { composeReport, surroundings } from './report.ts';
import { ScreenReaderSwitch } from './screen-reader.ts';
import { SearchBar } from './search-bar.ts';
import { SettingsPanel } from './settings/settings-panel.ts';
import { watchSleep } from './sleep-watch.ts';
import type { Gap } from './sleep-watch.ts';
import { StatusStrip } from './status-strip.ts';
import { Console } from './terminal.ts';
import { describeShutdown, formatDuration, STEP_NAMES } from './text.ts';
import { TouchKeys } from './touch-keys.ts';

const FIGURES_MS = 500;

export interface PageOptions extends MachinesActions {
  readonly session: MachineSession;
  readonly store: MachineStore;
  readonly disks: DiskStore;
  readonly memoryLimits: { readonly minimumMiB: number; readonly maximumMiB: number };
  /** What the address of the page says wrongly. */
  readonly configProblem?: Problem;
}

export class Page {
  readonly #options: PageOptions;
  readonly #session: MachineSession;
  readonly #bar: MachineBar;
  readonly #strip = new StatusStrip(() => this.#tellSize());
  readonly #console: Console;
  readonly #search: SearchBar;
  readonly #boot: BootProgress;
  readonly #notice: Notice;
  readonly #dialog: GuestDialog;
  readonly #keys: TouchKeys;
  readonly #panel: SidePanel;
  readonly #settings: SettingsPanel;
  readonly #disks: DisksPanel;
  readonly #activity: ActivityPanel;
  readonly #attachments: SessionAttachments;
  #serialBytes = 0;
  /** How large the guest takes the console to be, as far as that is known; and what its command line says. */
  #toldSize: ConsoleSize | undefined;
  #bootSize: ConsoleSize | undefined;
  #operations = { disk: 0, network: 0 };

  constructor(root: HTMLElement, options: PageOptions) {
    this.#options = options;
    const { session } = options;
    this.#session = session;
    this.#attachments = new SessionAttachments(session);
    this.#settings = new SettingsPanel(session, {
      chooseGuest: () => this.#openGuest(this.#choice()),
      restart: () => void this.#restart(),
      importFile: (file) => void this.#importSettings(file),
    });
    this.#activity = new ActivityPanel(session);
    this.#disks = new DisksPanel(options.disks, this.#attachments, {
      addFiles: (files) => void this.#dropped(files),
      renamed: (from, to) => this.#renamed(from, to),
    });
    this.#panel = new SidePanel(
      [new MachinesPanel(session, options.store, options), this.#disks, this.#settings, this.#activity],
      () => this.#console.focus(),
    );
    this.#bar = new MachineBar(
      {
        command: (command) => this.#command(command),
        openSearch: () => this.#search.open(),
        toggleFullScreen: () => toggleFullScreen(),
      },
      this.#panel.toggles,
    );
    const consoleNode = element('div', { class: 'console' });
    this.#console = new Console(consoleNode, {
      send: (bytes) => this.#type(this.#keys.apply(bytes)),
      search: () => this.#search.open(),
      leave: () => this.#bar.focus(),
    });
    const screenReader = new ScreenReaderSwitch((on) => this.#console.setScreenReaderMode(on));
    this.#search = new SearchBar(this.#console);
    this.#keys = new TouchKeys({
      send: (bytes) => this.#type(bytes),
      inApplicationMode: () => this.#console.inApplicationMode,
    });
    const stage = element('main', { class: 'stage' }, consoleNode, this.#search.node);
    this.#boot = new BootProgress(stage);
    this.#notice = new Notice(stage, (content) =>
      composeReport(
        content,
        { config: this.machine?.config ?? session.config, stats: this.machine?.stats() },
        surroundings(),
      ),
    );
    root.replaceChildren(
      element(
        'div',
        { class: 'page' },
        screenReader.node,
        this.#bar.node,
        element('div', { class: 'work' }, stage, this.#panel.node),
        this.#keys.node,
        this.#strip.node,
      ),
    );
    const { kernel: defaultKernel, initrd: defaultInitrd } = session.defaultLabels;
    this.#dialog = new GuestDialog(document.body, {
      defaultKernel,
      defaultInitrd,
      memoryLimits: options.memoryLimits,
      start: (choice) => void this.#startChoice(choice),
    });
    acceptDrops(document.body, (files) => void this.#dropped(files));
    this.#console.open();
    this.#console.onSize(() => this.#showSize());
    this.#bar.setName(session.machine.name);
    session.onChange(() => this.#bar.setName(session.machine.name));
    setInterval(() => this.#showFigures(), FIGURES_MS);
    const devices = new DeviceWatch(
      () => this.machine,
      (info) => this.#onDevices(info),
    );
    devices.begin();
    watchSleep((gap) => this.#afterSleep(gap));
    window.addEventListener('pagehide', (event) => {
      // A worker that waits in Atomics.wait holds the next page back for seconds: let it go.
      if (!event.persisted) this.machine?.release();
    });
    window.addEventListener('beforeunload', (event) => {
      if (this.#attachments.isDirty || this.#disks.isCopying) event.preventDefault();
    });
  }

  /** What the page can be asked from outside: the suite uses it, and so may embedders. */
  get machine(): VirtualMachine | undefined {
    return this.#session.vm;
  }

  consoleText(): string {
    return this.#console.text();
  }

  /** Begins with what the machine says, or with the default guest. */
  async begin(): Promise<void> {
    const { configProblem } = this.#options;
    if (configProblem !== undefined) {
      this.#showProblem(configProblem);
      return;
    }
    if (this.#session.boot.kernel === undefined) {
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
    await this.#restart();
  }

  #choice(): GuestChoice {
    return {
      ...this.#session.boot,
      commandLine: this.#session.commandLine,
      memoryMiB: this.#session.config.memoryBytes / MIB,
    };
  }

  async #startChoice(choice: GuestChoice): Promise<void> {
    const session = this.#session;
    await session.setBoot(choice);
    const usual = session.commandLine;
    await session.edit((config) => ({
      ...config,
      memoryBytes: choice.memoryMiB * MIB,
      ...(choice.commandLine === usual ? {} : { commandLine: choice.commandLine }),
    }));
    await this.#restart();
  }

  /** Ends the machine if there is one, and starts it anew with what its description says now. */
  async #restart(keepsConsole = false): Promise<void> {
    const session = this.#session;
    await session.vm?.stop();
    // It takes room from the console.
    this.#notice.hide();
    this.#console.fit();
    const { size } = this.#console;
    const machine = session.createVm(size);
    if (machine === undefined) return;
    this.#bootSize = session.takesConsoleSize ? size : undefined;
    this.#setToldSize(this.#bootSize);
    this.#listen(machine);
    this.#bar.setCanStart(true);
    this.#bar.setJit(machine.config.jit);
    this.#strip.setMemory(machine.config.memoryBytes, machine.config.cpus);
    if (keepsConsole) this.#console.writeMark('started again');
    else this.#console.clear();
    this.#settings.show();
    this.#begin(machine);
  }

  #command(command: ButtonCommand): void {
    const machine = this.machine;
    if (machine === undefined) return;
    // What was changed since takes effect, and the guest is told the size that the console has then.
    if (command === 'start') void this.#restart(true);
    else void machine[command]();
    this.#console.focus();
  }

  #type(bytes: Uint8Array): void {
    this.machine?.serial.write(bytes);
  }

  /** A serial line has no way to say how large the terminal is; the shell at its end can be told. */
  #tellSize(): void {
    const { size } = this.#console;
    this.machine?.serial.write(` stty rows ${size.rows} cols ${size.columns}\n`);
    this.#setToldSize(size);
    this.#console.focus();
  }

  #setToldSize(size: ConsoleSize | undefined): void {
    this.#toldSize = size;
    this.#showSize();
  }

  #showSize(): void {
    const { size } = this.#console;
    const isNews = this.#toldSize?.columns !== size.columns || this.#toldSize.rows !== size.rows;
    this.#strip.setConsoleSize(size, { isNews, canTell: this.machine?.status.state === 'running' });
  }

  #begin(machine: VirtualMachine): void {
    this.#serialBytes = 0;
    const { kernel, initrd } = this.#session.boot;
    const labels = this.#session.defaultLabels;
    const names = new Map<LoadStep, string>([['core', 'core.wasm, interpreter.wasm']]);
    names.set('kernel', (kernel === 'default' ? labels.kernel : kernel?.name) ?? '');
    if (initrd !== undefined) names.set('initrd', (initrd === 'default' ? labels.initrd : initrd.name) ?? '');
    names.set('memory', `${machine.config.memoryBytes / MIB} MiB`);
    names.set('processor', `x86-64, ${machine.config.cpus} vCPU${machine.config.cpus === 1 ? '' : 's'}`);
    this.#boot.begin(names);
    void machine.start();
    this.#console.focus();
  }

  #listen(machine: VirtualMachine): void {
    // A machine that was replaced may still have something to say.
    const isOurs = (): boolean => machine === this.machine;
    machine.on('serialOutput', ({ bytes }) => {
      if (!isOurs()) return;
      if (this.#serialBytes === 0) this.#boot.hide();
      this.#serialBytes += bytes.length;
      this.#console.write(bytes);
    });
    machine.on('status', ({ status }) => {
      if (isOurs()) this.#onStatus(status);
    });
    machine.on('warning', ({ message }) => {
      if (!isOurs()) return;
      this.#notice.show({
        kind: 'warning',
        tone: 'warning',
        place: 'below',
        title: 'To be known',
        message,
        actions: [{ label: 'Close', icon: ICON.close, run: () => this.#notice.hide() }],
      });
    });
    machine.on('reset', () => {
      if (!isOurs()) return;
      this.#console.writeMark('reset');
      this.#setToldSize(this.#bootSize);
    });
  }

  #onStatus(status: MachineStatus): void {
    this.#bar.setStatus(status, this.#statusReason(status));
    document.title = status.state === 'running' ? 'Virtab' : `${this.#titleWord(status)} - Virtab`;
    if (status.state !== 'loading') this.#settings.show();
    this.#showSize();
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
        if (status.problem !== undefined) this.#showPauseProblem(status.problem);
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
        return status.problem === undefined
          ? 'by you; the guest sees no time pass'
          : PROBLEM_TITLES[status.problem.kind];
      case 'shutdown':
        return describeShutdown(status.reason);
      case 'crashed':
        return status.problem.message;
    }
  }

  #runningReason(halted: HaltState): string {
    const { kernel } = this.#session.boot;
    const name = (kernel === 'default' ? this.#session.defaultLabels.kernel : kernel?.name) ?? '';
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

  /** The machine waits, and nothing is lost: what is wrong can be mended while it does. */
  #showPauseProblem(problem: Problem): void {
    this.#notice.show({
      kind: problem.kind,
      tone: 'warning',
      place: 'below',
      title: PROBLEM_TITLES[problem.kind],
      message: problem.message,
      advice: problem.advice,
      actions: [
        { label: 'Continue', icon: ICON.play, primary: true, run: () => this.#command('resume') },
        this.#disksAction(false),
      ],
    });
  }

  #showProblem(problem: Problem): void {
    this.#bar.setStatus({ state: 'off', problem }, PROBLEM_TITLES[problem.kind]);
    const actions = this.#remedies(problem);
    if (this.machine !== undefined) actions.push(this.#startAction('Try again', false));
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

  #remedies({ kind }: Problem): NoticeAction[] {
    switch (kind) {
      case 'no-isolation':
      case 'missing-features':
        return [];
      case 'bad-disk':
        return [this.#disksAction(true)];
      case 'bad-address': {
        const run = (): void => location.assign(location.pathname);
        return [{ label: 'Start without it', icon: ICON.play, primary: true, run }];
      }
      default:
        return [this.#chooseAction(true)];
    }
  }

  #startAction(label = 'Start again', primary = true): NoticeAction {
    return { label, icon: ICON.play, primary, run: () => this.#command('start') };
  }

  #disksAction(primary: boolean): NoticeAction {
    return { label: 'Show the disks', icon: ICON.disks, primary, run: () => this.#panel.open('disks') };
  }

  #chooseAction(primary: boolean): NoticeAction {
    return { label: 'Choose a guest', icon: ICON.guest, primary, run: () => this.#openGuest(this.#choice()) };
  }

  #openGuest(choice: GuestChoice): void {
    this.#dialog.open(choice, this.#session.isPowered);
  }

  #onDevices(info: DeviceInfo | undefined): void {
    const media = info?.disks.flatMap(({ drive, medium }): [string, MediumInfo][] =>
      medium === undefined ? [] : [[drive, medium]],
    );
    this.#attachments.setMedia(new Map(media));
    this.#settings.setInfo(info);
    this.#activity.push(info);
    const before = this.#operations;
    this.#operations = info === undefined ? { disk: 0, network: 0 } : countOperations(info);
    this.#bar.setActivity({
      disk: this.#operations.disk - before.disk,
      network: this.#operations.network - before.network,
    });
  }

  /** The page or the computer slept: what that means for the guest's clock must not be a riddle. */
  #afterSleep({ awayMs, missedMs }: Gap): void {
    if (this.machine?.status.state !== 'running') return;
    const away = formatDuration(awayMs);
    this.#console.writeMark(
      missedMs > 0
        ? `the computer slept for ${away}: the guest’s clock is ${formatDuration(missedMs)} behind, hwclock -s sets it`
        : `the browser froze this page for ${away}: the guest’s clock has stepped on by that`,
    );
  }

  /** Kernel and initrd go into the dialog, images to the disks; for anything else a sentence says why not. */
  async #dropped(files: readonly File[]): Promise<void> {
    const sorted = await sortFiles(files);
    const before = this.#choice();
    const kernel = sorted.kernel ?? before.kernel;
    // The initrd of another kernel would only confuse.
    const usualInitrd =
      sorted.kernel !== undefined && before.initrd === 'default' ? undefined : before.initrd;
    const initrd = sorted.initrd ?? usualInitrd;
    if (sorted.refused.length > 0) {
      const state = this.machine?.status.state;
      const [first] = sorted.refused;
      this.#notice.show({
        kind: 'drop-refused',
        tone: 'warning',
        place: state === 'running' || state === 'paused' || state === 'shutdown' ? 'below' : 'middle',
        title: sorted.refused.length === 1 ? 'This file was not used' : 'These files were not used',
        message: sorted.refused.map(refusalText).join(' '),
        ...(sorted.refused.length === 1 && first !== undefined ? { advice: first.advice } : {}),
        actions: [{ label: 'Close', icon: ICON.close, run: () => this.#notice.hide() }],
      });
    }
    if (sorted.kernel !== undefined || sorted.initrd !== undefined)
      this.#openGuest({ ...before, kernel, initrd });
    for (const image of sorted.images) {
      this.#panel.open('disks');
      await this.#disks.add(image);
    }
  }

  /** In all machines that have the image. */
  async #renamed(from: string, to: string): Promise<void> {
    const { store } = this.#options;
    const session = this.#session;
    for (const machine of await store.list()) {
      if (machine.id === session.machine.id || !machine.config.drives.some(({ file }) => file === from))
        continue;
      await store.save({ ...machine, config: renameImage(machine.config, from, to) });
    }
    if (session.config.drives.some(({ file }) => file === from))
      await session.edit((config) => renameImage(config, from, to));
  }

  async #importSettings(file: File): Promise<void> {
    let value: unknown;
    try {
      value = JSON.parse(await file.text());
    } catch {
      value = undefined;
    }
    const machine = decodeMachine(value);
    if (!machine.ok) {
      this.#notice.show({
        kind: 'bad-settings',
        tone: 'warning',
        place: 'below',
        title: 'These settings were not used',
        message: `${file.name}: ${machine.error}`,
        actions: [{ label: 'Close', icon: ICON.close, run: () => this.#notice.hide() }],
      });
      return;
    }
    const sure = await ask({
      title: 'Use these settings?',
      message: `The settings of “${machine.value.name}” replace those of “${this.#session.machine.name}”. Its disks stay as they are.`,
      confirm: 'Use them',
    });
    if (sure) await this.#session.edit((old) => settingsOf(machine.value, old));
  }

  #showFigures(): void {
    const machine = this.machine;
    const stats = machine?.stats();
    if (machine === undefined || stats === undefined) return;
    const isRunning = machine.status.state === 'running';
    this.#bar.setMips(isRunning ? stats.mips : 0);
    this.#strip.setStats(stats, this.#serialBytes);
    if (!isRunning) return;
    this.#bar.setStatus(machine.status, this.#runningReason(stats.halted));
    if (this.#serialBytes === 0 && stats.halted !== 'for-good') this.#boot.running(stats.instructions);
    else this.#boot.hide();
  }
}

/** What a file of settings may change: files and disks of another browser mean nothing here. */
function settingsOf({ config }: SavedMachine, old: SavedMachine['config']): SavedMachine['config'] {
  const { commandLine: _, ...rest } = old;
  return {
    ...rest,
    memoryBytes: config.memoryBytes,
    cpus: config.cpus,
    cpuFeatures: config.cpuFeatures,
    jit: config.jit,
    noReboot: config.noReboot,
    serial: config.serial,
    ...(config.commandLine === undefined ? {} : { commandLine: config.commandLine }),
  };
}

/** Instead of the page where the browser cannot run the machine at all. */
export function showProblemPage(root: HTMLElement, problem: Problem): void {
  const stage = element('main', { class: 'stage' });
  const bar = element('header', { class: 'bar' }, brand());
  bar.dataset['state'] = 'problem';
  root.replaceChildren(element('div', { class: 'page' }, bar, stage));
  new Notice(stage, (content) => composeReport(content, {}, surroundings())).show({
    kind: problem.kind,
    tone: 'error',
    place: 'middle',
    title: PROBLEM_TITLES[problem.kind],
    message: problem.message,
    advice: problem.advice,
    ...(problem.report === undefined ? {} : { report: problem.report }),
  });
}

function toggleFullScreen(): void {
  const done =
    document.fullscreenElement === null
      ? document.documentElement.requestFullscreen()
      : document.exitFullscreen();
  // The browser may refuse; the page then stays as it is.
  done.catch(() => undefined);
}
