/** The settings of the machine as a whole: one row each of the panel, and the names of what a restart would change. */
import { MIB } from '../../base/units.ts';
import { parseQemuOptions } from '../../config/qemu-options.ts';
import { formatSize } from '../../config/size.ts';
import { DEFAULT_CONFIG, MEMORY_MAX_BYTES, MEMORY_MIN_BYTES } from '../../config/vm-config.ts';
import type { DeviceConfig } from '../../config/devices.ts';
import type { JitMode, VmConfig } from '../../config/vm-config.ts';
import { element, setText } from '../dom.ts';
import { line, number, segments, text } from './controls.ts';
import type { Control } from './controls.ts';
import type { RowTexts } from './setting-row.ts';

export interface MachineSetting {
  readonly texts: RowTexts;
  /** In a sentence: what changed. */
  readonly noun: string;
  readonly wide?: boolean;
  readonly read: (config: VmConfig) => unknown;
  /** A field; `change` gets the configuration with the user's choice in it, `refuse` why it cannot be had; empty: it can. */
  make(change: (edit: (config: VmConfig) => VmConfig) => void, refuse: (why: string) => void): Field;
}

/** The only model (config/options.ts). */
const USUAL_CPU = 'qemu64';

/** As -cpu takes it; empty for the model as it is. */
function cpuText({ cpuFeatures }: VmConfig): string {
  return cpuFeatures.length === 0
    ? ''
    : [USUAL_CPU, ...cpuFeatures.map(({ feature, on }) => (on ? '+' : '-') + feature)].join(',');
}

export interface Field {
  readonly node: HTMLElement;
  show(config: VmConfig): void;
}

function fieldOf<T>(control: Control<T>, read: (config: VmConfig) => T): Field {
  return { node: control.node, show: (config) => control.show(read(config)) };
}

const ON_OFF = [
  { value: 'on', label: 'on' },
  { value: 'off', label: 'off' },
] as const;

const JIT_CHOICES = [...ON_OFF, { value: 'verify', label: 'verify' }] as const;

export function machineSettings(defaultCommandLine: string): readonly MachineSetting[] {
  const memory: MachineSetting = {
    noun: 'memory',
    texts: {
      title: 'Memory',
      option: '-m',
      sentence:
        'RAM of the guest. More lets it keep more files in its cache; the browser sets all of it aside at the start.',
      usual: formatSize(DEFAULT_CONFIG.memoryBytes),
    },
    read: ({ memoryBytes }) => memoryBytes,
    make: (change) => {
      const control = number(
        { label: 'Memory', minimum: MEMORY_MIN_BYTES / MIB, maximum: MEMORY_MAX_BYTES / MIB, unit: 'MiB' },
        (value) => change((config) => ({ ...config, memoryBytes: value * MIB })),
      );
      return fieldOf(control, ({ memoryBytes }) => memoryBytes / MIB);
    },
  };
  const cpus: MachineSetting = {
    noun: 'number of CPUs',
    texts: {
      title: 'CPUs',
      option: '-smp',
      sentence: 'Every guest has one CPU: several are not there yet.',
    },
    read: (config) => config.cpus,
    make: () => {
      const node = element('span');
      return { node, show: (config) => setText(node, String(config.cpus)) };
    },
  };
  const cpu: MachineSetting = {
    noun: 'CPU model',
    wide: true,
    texts: {
      title: 'CPU model',
      option: '-cpu',
      sentence:
        'What the guest finds in CPUID. Features are added with + and removed with -, for guests that need one or stumble over it: qemu64,+smap,-bmi2.',
      usual: USUAL_CPU,
    },
    read: ({ cpuFeatures }) => cpuFeatures,
    make: (change, refuse) => {
      const control = line('CPU model', USUAL_CPU, (value) => {
        const parsed = parseQemuOptions(['-cpu', value === '' ? USUAL_CPU : value]);
        refuse(parsed.ok ? '' : `${parsed.error.message} ${parsed.error.advice}`);
        if (parsed.ok) change((config) => ({ ...config, cpuFeatures: parsed.value.config.cpuFeatures }));
      });
      return fieldOf(control, cpuText);
    },
  };
  const jit: MachineSetting = {
    noun: 'JIT',
    texts: {
      title: 'JIT',
      option: '-jit',
      isOwn: true,
      sentence:
        'Translates guest code that runs often into WebAssembly. Off, everything is interpreted: slower, but nothing is compiled. Verify runs everything both ways and stops with a report where the results differ: many times slower, and the guest’s clock passes 16 times more slowly, so that the guest still gets on.',
      usual: DEFAULT_CONFIG.jit,
    },
    read: (config) => config.jit,
    make: (change) => {
      const control = segments<JitMode>('JIT', JIT_CHOICES, (value) =>
        change((config) => ({ ...config, jit: value })),
      );
      return fieldOf(control, (config) => config.jit);
    },
  };
  const reboot: MachineSetting = {
    noun: 'what a reboot does',
    texts: {
      title: 'Stop instead of rebooting',
      option: '-no-reboot',
      sentence:
        'When the guest reboots, the machine stops: for looking at the last words of a guest that reboots for ever.',
      usual: 'off',
    },
    read: ({ noReboot }) => noReboot,
    make: (change) => {
      const control = segments<'on' | 'off'>('Stop instead of rebooting', ON_OFF, (value) =>
        change((config) => ({ ...config, noReboot: value === 'on' })),
      );
      return fieldOf(control, ({ noReboot }) => (noReboot ? 'on' : 'off'));
    },
  };
  const append: MachineSetting = {
    noun: 'kernel command line',
    wide: true,
    texts: {
      title: 'Kernel command line',
      option: '-append',
      sentence:
        'Parameters for the kernel. Its console must be ttyS0: that is the serial port which is shown here.',
      usual: defaultCommandLine === '' ? 'empty' : defaultCommandLine,
    },
    read: ({ commandLine }) => commandLine,
    make: (change) => {
      const control = text('Kernel command line', defaultCommandLine, (value) =>
        change(({ commandLine: _, ...config }) =>
          value === '' ? config : { ...config, commandLine: value },
        ),
      );
      return fieldOf(control, ({ commandLine }) => commandLine ?? '');
    },
  };
  return [memory, cpus, cpu, jit, reboot, append];
}

/** What differs between two configurations, in words; empty where a restart would change nothing. */
export function differences(
  before: VmConfig,
  after: VmConfig,
  settings: readonly MachineSetting[],
): readonly string[] {
  const differ = ({ read }: Part): boolean => JSON.stringify(read(before)) !== JSON.stringify(read(after));
  return [...settings, ...DEVICES].filter(differ).map(({ noun }) => noun);
}

type Part = Pick<MachineSetting, 'noun' | 'read'>;

/** The parts that have no row in the list of settings. */
const DEVICES: readonly Part[] = [
  { noun: 'disks', read: ({ drives, devices }) => [drives, devices.filter(isDisk)] },
  { noun: 'network', read: ({ netdevs, devices }) => [netdevs, devices.filter(isCard)] },
  {
    noun: 'other devices',
    read: ({ devices }) => devices.filter((device) => !isDisk(device) && !isCard(device)),
  },
];

function isDisk({ kind }: DeviceConfig): boolean {
  return kind === 'virtio-blk';
}

function isCard({ kind }: DeviceConfig): boolean {
  return kind === 'virtio-net';
}
