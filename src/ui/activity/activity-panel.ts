/** What the machine's devices cost and achieve, live; ioeventfd to be flipped while looking; and a measurement of both ways. */
import { SWITCHES } from '../../config/devices.ts';
import type { Switch } from '../../config/devices.ts';
import type { DeviceInfo, IoeventfdInfo } from '../../control/info.ts';
import { button, element, ICON, setText } from '../dom.ts';
import type { MachineSession } from '../machine-session.ts';
import type { PanelPage } from '../panel/side-panel.ts';
import { segments } from '../settings/controls.ts';
import type { Control } from '../settings/controls.ts';
import { section } from '../settings/setting-row.ts';
import { formatCount } from '../text.ts';
import { hotTable } from './hot-table.ts';
import { InfoView } from './info-view.ts';
import { measure } from './measure.ts';
import { measuredTable } from './measured-table.ts';
import { NO_RATES, ratesBetween, sampleOf } from './samples.ts';
import type { Rates, Sample } from './samples.ts';
import { Sparkline } from './sparkline.ts';
import type { SparklineOptions } from './sparkline.ts';

/** A minute, with a look every half second. */
const POINTS = 120;
/** How often it is looked whether the vCPU executes. */
const VCPU_LOOK_MS = 25;
/** How long "Look" looks. */
const PROFILE_MS = 5_000;

interface Chart extends Omit<SparklineOptions, 'length'> {
  readonly read: (rates: Rates) => number;
}

const perSecond = (value: number): string => `${formatCount(value)}/s`;
const percent = (value: number): string => `${value.toFixed(0)} %`;

const CHARTS: readonly Chart[] = [
  {
    read: ({ kicks }) => kicks,
    label: 'Kicks',
    title: 'Notifications of the guest’s drivers that rang a doorbell: the guest went on at once',
    format: perSecond,
    leastTop: 100,
  },
  {
    read: ({ exits }) => exits,
    label: 'Synchronous exits',
    title: 'Times that the guest stood still until a device had looked at what it wanted',
    format: perSecond,
    leastTop: 100,
  },
  {
    read: ({ megabytes }) => megabytes,
    label: 'Disk and network',
    title: 'Bytes to and from disks and network cards',
    format: (value) => `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} MB/s`,
    leastTop: 1,
  },
  {
    read: ({ vcpu }) => vcpu,
    label: 'vCPU busy',
    title:
      'How often the guest’s CPU was not halted, of 40 looks a second; waiting for a device counts as busy',
    format: percent,
    leastTop: 100,
  },
  {
    read: ({ worker }) => worker,
    label: 'I/O worker busy',
    title: 'Time that the threads of the devices did not wait',
    format: percent,
    leastTop: 100,
  },
];

/** A device of the description that the running machine has. */
interface KnownDevice {
  readonly index: number;
  readonly name: string;
  readonly label: string;
  readonly setting: Switch;
}

interface DeviceRow {
  readonly node: HTMLElement;
  readonly control: Control<Switch>;
  readonly note: HTMLElement;
}

export class ActivityPanel implements PanelPage {
  readonly id = 'activity';
  readonly title = 'Activity';
  readonly icon = ICON.activity;
  readonly node: HTMLElement;
  readonly #session: MachineSession;
  readonly #charts: readonly Sparkline[];
  readonly #devices = element('div');
  #rows: readonly DeviceRow[] = [];
  #shown: string | undefined;
  readonly #problem = element('p', { class: 'form-problem', role: 'alert' });
  readonly #result = element('div', { class: 'measured', 'aria-live': 'polite' });
  readonly #measure: HTMLButtonElement;
  readonly #numbers: InfoView;
  readonly #hot = element('div', { class: 'measured', 'aria-live': 'polite' });
  readonly #look: HTMLButtonElement;
  readonly #looks = { all: 0, busy: 0 };
  #last: Sample | undefined;
  #measuring = false;

  constructor(session: MachineSession) {
    this.#session = session;
    this.#numbers = new InfoView(async () => session.vm?.info());
    this.#charts = CHARTS.map((chart) => new Sparkline({ ...chart, length: POINTS }));
    this.#measure = button('Measure it', ICON.gauge, () => void this.#runMeasurement()).node;
    this.#look = button('Look for 5 s', ICON.gauge, () => void this.#profile()).node;
    this.node = element(
      'div',
      { class: 'panel-page' },
      section('The last minute', ...this.#charts.map(({ node }) => node)),
      section(
        'ioeventfd',
        element(
          'p',
          { class: 'panel-quiet' },
          'On, a driver’s notification rings a doorbell and the guest runs on while another thread does the I/O: it waits less and holds its locks shorter. Off, the guest stands still for each. On a computer without an idle core, on can take longer per request. It can be flipped while the guest runs.',
        ),
        this.#devices,
        this.#problem,
      ),
      section(
        'Off against on',
        element(
          'p',
          { class: 'panel-quiet' },
          'Reads a little of this machine’s first disk both ways, by typing dd at the guest’s shell: its prompt must be empty, and you must be root.',
        ),
        element('div', { class: 'panel-actions' }, this.#measure),
        this.#result,
      ),
      section(
        'Where the CPU’s time goes',
        element(
          'p',
          { class: 'panel-quiet' },
          'Looks for five seconds which code of the guest the CPU runs: the hottest regions of translated code, the interpreter, or none as it is halted.',
        ),
        element('div', { class: 'panel-actions' }, this.#look),
        this.#hot,
      ),
      section('In numbers', this.#numbers.node),
    );
    setInterval(() => this.#lookAtVcpu(), VCPU_LOOK_MS);
  }

  /** The charts go on when they are not seen: whoever opens the panel wants to know what has just been. */
  setShown(shown: boolean): void {
    this.#numbers.setShown(shown);
  }

  /** A look at the devices; undefined: the machine has no power. */
  push(info: DeviceInfo | undefined): void {
    const before = this.#last;
    this.#last = info === undefined ? undefined : this.#sample(info);
    const rates =
      before === undefined || this.#last === undefined ? NO_RATES : ratesBetween(before, this.#last);
    for (const [index, { read }] of CHARTS.entries()) this.#charts[index]!.push(read(rates));
    this.#showDevices(info?.ioeventfd ?? []);
    this.#measure.disabled = this.#measuring || this.#measurable() === undefined;
  }

  #sample(info: DeviceInfo): Sample {
    return sampleOf(info, performance.now(), this.#looks);
  }

  #lookAtVcpu(): void {
    const machine = this.#session.vm;
    if (machine?.status.state !== 'running') return;
    this.#looks.all++;
    if (machine.halted === 'no') this.#looks.busy++;
  }

  #known(): readonly KnownDevice[] {
    const session = this.#session;
    return session.config.devices.flatMap((device, index) => {
      const name = session.machineDevice(index);
      if (name === undefined) return [];
      const drive = device.kind === 'virtio-blk' ? device.drive : undefined;
      const file = session.config.drives.find(({ id }) => id === drive)?.file;
      return [{ index, name, label: file ?? device.kind, setting: device.ioeventfd }];
    });
  }

  #showDevices(told: readonly IoeventfdInfo[]): void {
    const known = this.#known();
    const state = known.map(({ name, label }) => `${name} ${label}`).join('\n');
    if (state !== this.#shown) {
      this.#shown = state;
      this.#rows = known.map((device) => this.#deviceRow(device));
      const nothing = element(
        'p',
        { class: 'panel-empty' },
        'The running machine has no disk and no network card. Drop a disk image, or make a disk.',
      );
      this.#devices.replaceChildren(...(known.length === 0 ? [nothing] : this.#rows.map(({ node }) => node)));
    }
    for (const [at, { name, setting }] of known.entries()) {
      const row = this.#rows[at];
      const facts = told.find(({ device }) => device === name);
      row?.control.setDisabled(this.#measuring);
      row?.control.show(setting);
      if (row === undefined || facts === undefined) continue;
      const chose = facts.setting === 'auto' ? `auto chose ${facts.enabled ? 'on' : 'off'}. ` : '';
      setText(row.note, chose + facts.reason);
    }
  }

  #deviceRow({ name, label, index }: KnownDevice): DeviceRow {
    const control = segments<Switch>(
      `ioeventfd of ${label}`,
      SWITCHES.map((value) => ({ value, label: value })),
      (setting) => void this.#flip(index, setting),
    );
    const note = element('p', { class: 'setting-text' });
    const title = element(
      'div',
      { class: 'setting-name' },
      element('span', { class: 'setting-title' }, label),
      element('code', { class: 'setting-option' }, name),
    );
    const field = element('div', { class: 'setting-field' }, control.node);
    return { node: element('div', { class: 'setting' }, title, field, note), control, note };
  }

  async #flip(index: number, setting: Switch): Promise<void> {
    const done = await this.#session.setIoeventfd(index, setting);
    setText(this.#problem, done.ok ? '' : done.error);
  }

  /** The first disk that the running guest has. */
  #measurable():
    | { readonly guestName: string; readonly device: string; readonly setting: Switch }
    | undefined {
    const session = this.#session;
    if (session.vm?.status.state !== 'running') return undefined;
    for (const { index, name, setting } of this.#known()) {
      const device = session.config.devices[index];
      const guestName = device?.kind === 'virtio-blk' ? session.guestDisk(device.drive) : undefined;
      if (guestName !== undefined) return { guestName, device: name, setting };
    }
    return undefined;
  }

  async #profile(): Promise<void> {
    this.#look.disabled = true;
    this.#hot.replaceChildren(element('p', { class: 'panel-quiet' }, 'Looking…'));
    const profile = await this.#session.vm?.profile(PROFILE_MS);
    this.#look.disabled = false;
    this.#hot.replaceChildren(
      profile === undefined
        ? element('p', { class: 'panel-quiet' }, 'The machine does not run.')
        : hotTable(profile),
    );
  }

  async #runMeasurement(): Promise<void> {
    const machine = this.#session.vm;
    const target = this.#measurable();
    if (machine === undefined || target === undefined) return;
    this.#measuring = true;
    this.#measure.disabled = true;
    const measured = await measure({
      ...target,
      machine,
      sample: async () => {
        const info = await machine.deviceInfo();
        if (info === undefined) throw new Error('the machine has no power any more');
        return this.#sample(info);
      },
      progress: (text) => this.#result.replaceChildren(element('p', { class: 'panel-quiet' }, text)),
    });
    this.#measuring = false;
    this.#result.replaceChildren(
      measured.ok
        ? measuredTable(measured.value)
        : element('p', { class: 'form-problem', role: 'alert' }, measured.error),
    );
  }
}
