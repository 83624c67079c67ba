/**
 * The options of a machine: one row each, from which command line, URL, help and printing are made. The names are QEMU's;
 * those whose only value here is the one that we have anyway are taken so that QEMU command lines work as they are.
 */
import { CPU_FEATURES } from '../base/cpu-features.ts';
import { success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import { MIB } from '../base/units.ts';
import { configError } from './config-error.ts';
import type { ConfigError } from './config-error.ts';
import {
  parseDrive,
  parseNetdev,
  parseObject,
  parseVirtioDevice,
  printDevice,
  printDrive,
  printNetdev,
  VIRTIO_MODELS,
} from './device-options.ts';
import { wholeNumber } from './properties.ts';
import { formatSize, parseSize } from './size.ts';
import { closest } from './suggest.ts';
import {
  CPUS_MAX,
  DEFAULT_CONFIG,
  JIT_MODES,
  MEMORY_MAX_BYTES,
  MEMORY_MIN_BYTES,
  SERIAL_PORTS_MAX,
} from './vm-config.ts';
import type { FeatureChange, SerialBackend, VmConfig } from './vm-config.ts';

/** A configuration under construction: what has been asked for so far. */
export type Draft = { -readonly [K in keyof VmConfig]?: VmConfig[K] };

export interface Option {
  /** Without the dash. */
  readonly name: string;
  readonly aliases?: readonly string[];
  /** Placeholder of its value; absent if it takes none. */
  readonly value?: string;
  readonly help: string;
  /** `shown` is the option as the user wrote it, for messages. */
  readonly apply: (draft: Draft, value: string, shown: string) => Result<Draft, ConfigError>;
  /** The values that give `config`; none for what is as by default. */
  readonly print: (config: VmConfig) => readonly string[];
}

export const OPTIONS: readonly Option[] = [
  {
    name: 'm',
    value: 'SIZE',
    help: 'memory: 512M, 1G; a plain number is in MiB (default 512M)',
    apply: setMemory,
    print: ({ memoryBytes }) => [formatSize(memoryBytes)],
  },
  {
    name: 'smp',
    value: 'N',
    help: 'CPUs: 1',
    apply: setCpus,
    print: ({ cpus }) => [String(cpus)],
  },
  {
    name: 'cpu',
    value: 'qemu64[,+FEATURE][,-FEATURE]',
    help: 'the CPU model, with features of CPUID switched on or off: qemu64,+smap,-bmi2',
    apply: setCpuModel,
    print: ({ cpuFeatures }) =>
      cpuFeatures.length === 0
        ? []
        : [[CPU_MODEL, ...cpuFeatures.map(({ feature, on }) => `${on ? '+' : '-'}${feature}`)].join(',')],
  },
  {
    name: 'kernel',
    value: 'FILE',
    help: 'bzImage, multiboot kernel, or vmlinux with a PVH entry (default: the Debian kernel that npm start fetches)',
    apply: (draft, value, shown) =>
      value === '' ? noValue(shown, 'a file') : success({ ...draft, kernel: value }),
    print: ({ kernel }) => (kernel === undefined ? [] : [kernel]),
  },
  {
    name: 'initrd',
    value: 'FILE',
    help: 'initial RAM disk; for a multiboot kernel its modules: "FILE ARGUMENTS,FILE ARGUMENTS"',
    apply: (draft, value, shown) =>
      value === '' ? noValue(shown, 'a file') : success({ ...draft, initrd: value }),
    print: ({ initrd }) => (initrd === undefined ? [] : [initrd]),
  },
  {
    name: 'append',
    value: 'TEXT',
    help: "the kernel's command line",
    apply: (draft, value) => success({ ...draft, commandLine: value }),
    print: ({ commandLine }) => (commandLine === undefined ? [] : [commandLine]),
  },
  {
    name: 'serial',
    value: 'stdio|none',
    help: 'COM1: the terminal, or no port (default stdio)',
    apply: addSerial,
    print: ({ serial }) => (serial.length === 0 ? ['none'] : serial),
  },
  {
    name: 'drive',
    value: 'file=NAME[,size=SIZE,format=raw,if=virtio|none,id=ID,aio=NAME,cache=MODE,readonly=on]',
    help: 'a disk: an image in the browser (for the runner a file), made with size= if there is none; aio=? lists the drivers',
    apply: addDrive,
    print: ({ drives }) => drives.map(printDrive),
  },
  {
    name: 'object',
    value: 'iothread,id=ID',
    help: 'a thread for devices',
    apply: addObject,
    print: ({ iothreads }) => iothreads.map((id) => `iothread,id=${id}`),
  },
  {
    name: 'netdev',
    value: 'hubport,id=ID,hubid=NUMBER',
    help: 'a network: cards on the same hub reach each other',
    apply: addNetdev,
    print: ({ netdevs }) => netdevs.map(printNetdev),
  },
  {
    name: 'device',
    value: 'MODEL[,PROPERTY=VALUE...]',
    help: `${VIRTIO_MODELS.join(', ')}, or isa-debug-exit: a port through which the guest ends the machine with an exit code`,
    apply: addDevice,
    print: ({ debugExit, devices }) => [
      ...devices.map(printDevice),
      ...(debugExit === undefined
        ? []
        : [`isa-debug-exit,iobase=${hex(debugExit.port)},iosize=${hex(debugExit.bytes)}`]),
    ],
  },
  {
    name: 'jit',
    value: 'on|off|verify',
    help: 'translate hot guest code (default on); verify: compare what it does with the interpreter, and stop where they differ',
    apply: setJit,
    print: ({ jit }) => (jit === DEFAULT_CONFIG.jit ? [] : [jit]),
  },
  {
    name: 'no-reboot',
    help: 'a reset ends the machine',
    apply: (draft) => success({ ...draft, noReboot: true }),
    print: ({ noReboot }) => (noReboot ? [''] : []),
  },
  {
    name: 'nographic',
    help: 'no screen, COM1 on the terminal: as it is by default',
    apply: (draft) => success({ ...draft, serial: draft.serial ?? ['stdio'] }),
    print: () => [],
  },
  fixed('display', ['none'], 'There is no screen yet'),
  fixed('vga', ['none'], 'There is no graphics card yet'),
  fixed('monitor', ['none'], 'There is no monitor'),
  fixed('machine', ['pc'], 'The machine is like QEMU\'s "pc"', 'M'),
];

/** QEMU options that people will look for, so that the answer is not just "unknown". */
export const NOT_YET: Readonly<Record<string, string>> = {
  hda: 'IDE disks are not there yet; -drive gives a virtio disk',
  blockdev: 'Disks are described with -drive here',
  cdrom: 'CD drives are not there yet',
  boot: 'There is no firmware yet that could boot from a disk',
  bios: 'Firmware images cannot be loaded yet',
  nic: 'Network cards are described with -netdev and -device here',
  net: 'Network cards are described with -netdev and -device here',
  accel: 'There is one way to run guest code, so there is nothing to choose',
  'enable-kvm': 'A browser has no access to KVM',
  s: 'There is no GDB server yet',
  gdb: 'There is no GDB server yet',
  loadvm: 'Snapshots are not there yet',
  qmp: 'There is no QMP server',
};

/** An option that is accepted because its only possible value is what the machine is anyway. */
function fixed(name: string, values: readonly string[], otherwise: string, alias?: string): Option {
  return {
    name,
    ...(alias === undefined ? {} : { aliases: [alias] }),
    value: values.join('|'),
    help: `only ${values.join(' or ')}: as it is anyway`,
    apply: (draft, value, shown) =>
      values.includes(value)
        ? success(draft)
        : configError(
            shown,
            `${shown} ${value}: ${otherwise}.`,
            `Leave it out, or use ${shown} ${values[0]}.`,
          ),
    print: () => [],
  };
}

function setMemory(draft: Draft, value: string, shown: string): Result<Draft, ConfigError> {
  // QEMU's long form; its hot-plug keys have no meaning here.
  const bytes = parseSize(value.replace(/^size=/, ''));
  if (bytes === undefined) {
    return configError(
      shown,
      `${shown} ${value}: this is not a size.`,
      `Write it as ${shown} 512M, ${shown} 1G or, in MiB, ${shown} 512.`,
    );
  }
  const memoryBytes = Math.ceil(bytes / MIB) * MIB;
  if (memoryBytes < MEMORY_MIN_BYTES || memoryBytes > MEMORY_MAX_BYTES) {
    return configError(
      shown,
      `${shown} ${value}: a machine can have ${formatSize(MEMORY_MIN_BYTES)} to ${formatSize(MEMORY_MAX_BYTES)} of memory.`,
      memoryBytes > MEMORY_MAX_BYTES
        ? `Use ${shown} ${formatSize(MEMORY_MAX_BYTES)} or less.`
        : `Use ${shown} ${formatSize(MEMORY_MIN_BYTES)} or more; plain numbers are MiB.`,
    );
  }
  return success({ ...draft, memoryBytes });
}

function setCpus(draft: Draft, value: string, shown: string): Result<Draft, ConfigError> {
  const cpus = wholeNumber(value.replace(/^cpus=/, ''));
  if (cpus === undefined || cpus === 0) {
    return configError(shown, `${shown} ${value}: this is not a number of CPUs.`, `Use ${shown} 1.`);
  }
  if (cpus > CPUS_MAX) {
    return configError(
      shown,
      `${shown} ${value}: machines with more than one CPU (SMP) are not there yet.`,
      `Use ${shown} 1, or leave it out.`,
    );
  }
  return success({ ...draft, cpus });
}

/** QEMU's name for its default model, which this one resembles. */
const CPU_MODEL = 'qemu64';
const SWITCHABLE = CPU_FEATURES.filter(({ state }) => state !== 'absent');

function setCpuModel(draft: Draft, value: string, shown: string): Result<Draft, ConfigError> {
  const [model, ...properties] = value.split(',');
  if (model !== CPU_MODEL) {
    return configError(
      shown,
      `${shown} ${value}: there is one CPU model, ${CPU_MODEL}.`,
      `Use ${shown} ${CPU_MODEL}, with features added or removed: ${CPU_MODEL},+smap,-bmi2.`,
    );
  }
  const cpuFeatures: FeatureChange[] = [];
  for (const property of properties) {
    const name = property.replace(/^[+-]|=(on|off)$/g, '');
    const row = SWITCHABLE.find((candidate) => candidate.name === name);
    const switched = /^[+-]/.test(property) !== /=(on|off)$/.test(property);
    if (row === undefined || !switched) {
      const guess = closest(
        name,
        SWITCHABLE.map((candidate) => candidate.name),
      );
      return configError(
        shown,
        `${shown} ${value}: "${property}" does not switch a feature that this CPU can have.`,
        `Write it as +${guess ?? 'smap'} or -${guess ?? 'smap'}.`,
      );
    }
    cpuFeatures.push({ feature: row.name, on: property.startsWith('+') || property.endsWith('=on') });
  }
  return success({ ...draft, cpuFeatures });
}

function setJit(draft: Draft, value: string, shown: string): Result<Draft, ConfigError> {
  const jit = JIT_MODES.find((mode) => mode === value);
  if (jit === undefined) {
    return configError(
      shown,
      `${shown} ${value}: the JIT is on or off, or verifies itself.`,
      `Use ${shown} on, ${shown} off or ${shown} verify.`,
    );
  }
  return success({ ...draft, jit });
}

function addSerial(draft: Draft, value: string, shown: string): Result<Draft, ConfigError> {
  if (value !== 'stdio' && value !== 'none') {
    return configError(
      shown,
      value.startsWith('mon:')
        ? `${shown} ${value}: there is no monitor that could share the terminal.`
        : `${shown} ${value}: a serial port can be connected to stdio or none.`,
      `Use ${shown} stdio or ${shown} none.`,
    );
  }
  const serial: readonly SerialBackend[] = [...(draft.serial ?? []), value];
  if (serial.length > SERIAL_PORTS_MAX) {
    return configError(shown, `${shown} ${value}: there is only one serial port yet.`, `Give ${shown} once.`);
  }
  return success({ ...draft, serial });
}

/** QEMU's defaults for isa-debug-exit. */
const DEBUG_EXIT_PORT = 0x501;
const DEBUG_EXIT_BYTES = 2;

function addDrive(draft: Draft, value: string, shown: string): Result<Draft, ConfigError> {
  const drives = draft.drives ?? [];
  const drive = parseDrive(value, shown, drives);
  return drive.ok ? success({ ...draft, drives: [...drives, drive.value] }) : drive;
}

function addNetdev(draft: Draft, value: string, shown: string): Result<Draft, ConfigError> {
  const netdevs = draft.netdevs ?? [];
  const netdev = parseNetdev(value, shown, netdevs);
  return netdev.ok ? success({ ...draft, netdevs: [...netdevs, netdev.value] }) : netdev;
}

function addObject(draft: Draft, value: string, shown: string): Result<Draft, ConfigError> {
  const iothreads = draft.iothreads ?? [];
  const id = parseObject(value, shown, iothreads);
  return id.ok ? success({ ...draft, iothreads: [...iothreads, id.value] }) : id;
}

function addDevice(draft: Draft, value: string, shown: string): Result<Draft, ConfigError> {
  const [model, ...properties] = value.split(',');
  const devices = draft.devices ?? [];
  // The port of virtio-serial; there is one, and it is there anyway.
  if (model === 'virtconsole' && devices.some(({ kind }) => kind === 'virtio-console')) return success(draft);
  const virtio = parseVirtioDevice(value, shown);
  if (virtio !== undefined) {
    return virtio.ok ? success({ ...draft, devices: [...devices, virtio.value] }) : virtio;
  }
  if (model !== 'isa-debug-exit') {
    return configError(
      shown,
      `${shown} ${value}: there is no device "${model}" yet.`,
      model === 'virtconsole'
        ? `Put ${shown} virtio-serial-pci in front of it.`
        : `Leave it out; the devices that can be added are ${VIRTIO_MODELS.join(', ')} and isa-debug-exit.`,
    );
  }
  let port = DEBUG_EXIT_PORT;
  let bytes = DEBUG_EXIT_BYTES;
  for (const property of properties) {
    const [key, text] = splitOnce(property, '=');
    const number = wholeNumber(text);
    if (key === 'iobase' && number !== undefined && number <= 0xffff) port = number;
    else if (key === 'iosize' && (number === 1 || number === 2 || number === 4)) bytes = number;
    else {
      return configError(
        shown,
        `${shown} ${value}: "${property}" is not a property that isa-debug-exit has.`,
        `Write it as ${shown} isa-debug-exit,iobase=0xf4,iosize=0x04 (iosize 1, 2 or 4).`,
      );
    }
  }
  return success({ ...draft, debugExit: { port, bytes } });
}

function noValue(shown: string, what: string): Result<never, ConfigError> {
  return configError(shown, `${shown} needs ${what}.`, `Write ${what} behind ${shown}, or leave it out.`);
}

export function splitOnce(text: string, separator: string): [before: string, after: string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
