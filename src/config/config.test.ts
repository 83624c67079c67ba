import { describe, expect, it } from 'vitest';
import { MAX_RAM_BYTES } from '../layout/map.ts';
import { formatQemuCommand, helpText, parseQemuOptions, toQemuArguments } from './qemu-options.ts';
import { formatSize, parseSize } from './size.ts';
import { closest } from './suggest.ts';
import { parseUrl, toUrlQuery } from './url-options.ts';
import { DEFAULT_CONFIG, MEMORY_MAX_BYTES } from './vm-config.ts';

const MIB = 1024 * 1024;

describe('sizes', () => {
  it.each([
    ['512', 512 * MIB],
    ['512M', 512 * MIB],
    ['512m', 512 * MIB],
    ['1G', 1024 * MIB],
    ['1.5G', 1536 * MIB],
    ['65536K', 64 * MIB],
    ['4096B', 4096],
    ['1T', 1024 * 1024 * MIB],
  ])('%s is read as QEMU reads it', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(['', 'M', '-1', '1X', '1GB', '0x10', '1 2', '99999999999999T'])('"%s" is not a size', (text) => {
    expect(parseSize(text)).toBeUndefined();
  });

  it.each([
    [3 * 1024 * MIB, '3G'],
    [1536 * MIB, '1536M'],
    [4096, '4K'],
    [100, '100B'],
  ])('%i is written as %s', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });
});

describe('QEMU options', () => {
  it('gives the defaults for no options', () => {
    expect(parseQemuOptions([])).toEqual({
      ok: true,
      value: { config: DEFAULT_CONFIG, run: { info: [], node: false, help: false } },
    });
  });

  it('reads a full command line', () => {
    const result = parseQemuOptions([
      '-m', '1G', '-smp', '1', '-kernel', 'bzImage', '-initrd', 'rootfs.cpio', '-append', 'console=ttyS0 quiet',
      '-serial', 'stdio', '-device', 'isa-debug-exit,iobase=0xf4,iosize=0x04', '-no-reboot', '-nographic',
      '--timeout', '60', '--stats', 'stats.json', '--until', 'login:',
    ]); // oxfmt-ignore
    expect(result).toEqual({
      ok: true,
      value: {
        config: {
          memoryBytes: 1024 * MIB,
          cpus: 1,
          kernel: 'bzImage',
          initrd: 'rootfs.cpio',
          commandLine: 'console=ttyS0 quiet',
          serial: ['stdio'],
          cpuFeatures: [],
          debugExit: { port: 0xf4, bytes: 4 },
          noReboot: true,
          jit: 'on',
          drives: [],
          netdevs: [],
          devices: [],
          iothreads: [],
        },
        run: {
          timeoutSeconds: 60,
          statsFile: 'stats.json',
          until: 'login:',
          info: [],
          node: false,
          help: false,
        },
      },
    });
  });

  it.each([
    ['two dashes', ['--m', '64'], { memoryBytes: 64 * MIB }],
    ['an equals sign', ['-kernel=vmlinux'], { kernel: 'vmlinux' }],
    ['the long form of -m', ['-m', 'size=64M'], { memoryBytes: 64 * MIB }],
    [
      'features of the CPU',
      ['-cpu', 'qemu64,+smap,bmi2=off'],
      {
        cpuFeatures: [
          { feature: 'smap', on: true },
          { feature: 'bmi2', on: false },
        ],
      },
    ],
    ['the last of a repeated option', ['-m', '64', '-m', '96'], { memoryBytes: 96 * MIB }],
    ['a value that starts with a dash', ['-append', '-v'], { commandLine: '-v' }],
    ['an empty command line', ['-append', ''], { commandLine: '' }],
    ['no serial port', ['-serial', 'none', '-nographic'], { serial: ['none'] }],
    [
      'isa-debug-exit with the defaults of QEMU',
      ['-device', 'isa-debug-exit'],
      { debugExit: { port: 0x501, bytes: 2 } },
    ],
    ['what is as it is anyway', ['-M', 'pc', '-display', 'none', '-monitor', 'none', '-vga', 'none'], {}],
    ['memory that is no whole number of MiB, rounded up', ['-m', '65537K'], { memoryBytes: 65 * MIB }],
  ])('takes %s', (_, argv, expected) => {
    expect(parseQemuOptions(argv)).toMatchObject({
      ok: true,
      value: { config: { ...DEFAULT_CONFIG, ...expected } },
    });
  });

  it.each([
    [
      ['-kernal', 'x'],
      '-kernal',
      'Unknown option -kernal.',
      'Did you mean -kernel? --help lists the options.',
    ],
    [
      ['--timout', '5'],
      '--timout',
      'Unknown option --timout.',
      'Did you mean --timeout? --help lists the options.',
    ],
    [
      ['-frobnicate'],
      '-frobnicate',
      'Unknown option -frobnicate.',
      'Run with --help for the list of options.',
    ],
    [
      ['-hda', 'x'],
      '-hda',
      '-hda: IDE disks are not there yet; -drive gives a virtio disk.',
      'Leave it out.',
    ],
    [
      ['-smp', '2'],
      '-smp',
      '-smp 2: machines with more than one CPU (SMP) are not there yet.',
      'Use -smp 1, or leave it out.',
    ],
    [['-smp', 'many'], '-smp', '-smp many: this is not a number of CPUs.', 'Use -smp 1.'],
    [['-m', '4G'], '-m', '-m 4G: a machine can have 2M to 3008M of memory.', 'Use -m 3008M or less.'],
    [
      ['-m', '1'],
      '-m',
      '-m 1: a machine can have 2M to 3008M of memory.',
      'Use -m 2M or more; plain numbers are MiB.',
    ],
    [['-m', 'lots'], '-m', '-m lots: this is not a size.', 'Write it as -m 512M, -m 1G or, in MiB, -m 512.'],
    [['-m'], '-m', '-m needs a value.', 'Write it as -m SIZE.'],
    [['-no-reboot=1'], '-no-reboot', '-no-reboot takes no value.', 'Write just -no-reboot.'],
    [
      ['-serial', 'mon:stdio'],
      '-serial',
      '-serial mon:stdio: there is no monitor that could share the terminal.',
      'Use -serial stdio or -serial none.',
    ],
    [
      ['-device', 'virtio-net-pci'],
      '-device',
      '-device virtio-net-pci: virtio-net-pci needs netdev=.',
      'Write it as -device virtio-net-pci,netdev=ID, with the id of a -netdev.',
    ],
    [
      ['-device', 'isa-debug-exit,iosize=3'],
      '-device',
      '-device isa-debug-exit,iosize=3: "iosize=3" is not a property that isa-debug-exit has.',
      'Write it as -device isa-debug-exit,iobase=0xf4,iosize=0x04 (iosize 1, 2 or 4).',
    ],
    [
      ['bzImage'],
      'bzImage',
      '"bzImage" is not an option.',
      'Name it: a kernel is given as -kernel FILE, an initial RAM disk as -initrd FILE.',
    ],
    [
      ['--timeout', 'soon'],
      '--timeout',
      '--timeout soon: this is not a number of seconds.',
      'Write it as --timeout 60.',
    ],
  ])('refuses %j and says why', (argv, option, message, advice) => {
    expect(parseQemuOptions(argv)).toEqual({ ok: false, error: { option, message, advice } });
  });

  it('writes a configuration as a QEMU command that a shell takes', () => {
    const config = {
      ...DEFAULT_CONFIG,
      kernel: 'my kernel',
      commandLine: "console=ttyS0 init=it's",
      debugExit: { port: 0xf4, bytes: 4 },
      noReboot: true,
    };
    expect(formatQemuCommand(config)).toBe(
      "qemu-system-x86_64 -m 512M -smp 1 -kernel 'my kernel' -append 'console=ttyS0 init=it'\\''s' " +
        '-serial stdio -device isa-debug-exit,iobase=0xf4,iosize=0x4 -no-reboot',
    );
  });

  it('reads back what it wrote', () => {
    const config = {
      ...DEFAULT_CONFIG,
      kernel: 'k',
      initrd: 'i',
      debugExit: { port: 0x501, bytes: 2 },
      serial: ['none'] as const,
      cpuFeatures: [{ feature: 'umip', on: true }] as const,
    };
    expect(parseQemuOptions(toQemuArguments(config))).toMatchObject({ ok: true, value: { config } });
  });

  it('names every option in the help', () => {
    expect(helpText()).toMatch(
      /-m SIZE[^]*-smp N[^]*-kernel FILE[^]*-no-reboot[^]*--timeout SECONDS[^]*--until TEXT/,
    );
  });
});

describe('URL', () => {
  it('uses the names of the command line', () => {
    const parameters = new URLSearchParams(
      'm=1G&kernel=/k&append=console%3DttyS0+quiet&no-reboot&device=isa-debug-exit,iobase%3D0xf4,iosize%3D4',
    );
    expect(parseUrl(parameters)).toEqual({
      ok: true,
      value: {
        ...DEFAULT_CONFIG,
        memoryBytes: 1024 * MIB,
        kernel: '/k',
        commandLine: 'console=ttyS0 quiet',
        noReboot: true,
        debugExit: { port: 0xf4, bytes: 4 },
      },
    });
  });

  it.each([
    ['jit=on', {}],
    ['jit=verify', { jit: 'verify' }],
    ['jit=off', { jit: 'off' }],
    ['m=96', { memoryBytes: 96 * MIB }],
    ['m=size%3D1.5G', { memoryBytes: 1536 * MIB }],
    ['append=', { commandLine: '' }],
    ['append=a%3Db%26c+%22d+e%22', { commandLine: 'a=b&c "d e"' }],
    ['m=64&m=96', { memoryBytes: 96 * MIB }],
  ])('takes ?%s', (query, expected) => {
    expect(parseUrl(new URLSearchParams(query))).toEqual({
      ok: true,
      value: { ...DEFAULT_CONFIG, ...expected },
    });
  });

  it('takes a flag that is turned off as not given', () => {
    expect(parseUrl(new URLSearchParams('no-reboot=off'))).toEqual({ ok: true, value: DEFAULT_CONFIG });
  });

  it('leaves parameters of others alone', () => {
    expect(parseUrl(new URLSearchParams('theme=dark'), ['theme'])).toEqual({
      ok: true,
      value: DEFAULT_CONFIG,
    });
  });

  it.each([
    [
      'smp=2',
      'smp',
      'smp 2: machines with more than one CPU (SMP) are not there yet.',
      'Use smp 1, or leave it out.',
    ],
    [
      'kernl=x',
      'kernl',
      'The address of the page has a parameter "kernl" that does not exist.',
      'Did you mean "kernel"? Change it in the address.',
    ],
    [
      'cpu=host',
      'cpu',
      'cpu host: there is one CPU model, qemu64.',
      'Use cpu qemu64, with features added or removed: qemu64,+smap,-bmi2.',
    ],
    [
      'cpu=qemu64,%2Bsmep2',
      'cpu',
      'cpu qemu64,+smep2: "+smep2" does not switch a feature that this CPU can have.',
      'Write it as +smep or -smep.',
    ],
    [
      'cpu=qemu64,%2Bpcid',
      'cpu',
      'cpu qemu64,+pcid: "+pcid" does not switch a feature that this CPU can have.',
      'Write it as +smap or -smap.',
    ],
    [
      'jit=maybe',
      'jit',
      'jit maybe: the JIT is on or off, or verifies itself.',
      'Use jit on, jit off or jit verify.',
    ],
    ['m=lots', 'm', 'm lots: this is not a size.', 'Write it as m 512M, m 1G or, in MiB, m 512.'],
    ['m=4G', 'm', 'm 4G: a machine can have 2M to 3008M of memory.', 'Use m 3008M or less.'],
    [
      'netdev=user',
      'netdev',
      'netdev user: there is no network "user" yet.',
      'Use netdev hubport,id=NAME,hubid=NUMBER: cards on the same hub reach each other, in all tabs of this browser.',
    ],
  ])('refuses ?%s and says why', (query, option, message, advice) => {
    expect(parseUrl(new URLSearchParams(query))).toEqual({ ok: false, error: { option, message, advice } });
  });

  it('is empty for the default machine', () => {
    expect(toUrlQuery(DEFAULT_CONFIG)).toBe('');
  });

  it('reads back what it wrote', () => {
    const config = { ...DEFAULT_CONFIG, memoryBytes: 64 * MIB, commandLine: 'a=b&c d', noReboot: true };
    expect(toUrlQuery(config)).toBe('m=64M&append=a%3Db%26c%20d&no-reboot');
    expect(parseUrl(new URLSearchParams(toUrlQuery(config)))).toEqual({ ok: true, value: config });
  });
});

it('allows as much memory as the layout has room for', () => {
  expect(MEMORY_MAX_BYTES).toBe(MAX_RAM_BYTES);
});

it.each([
  ['kernal', 'kernel'],
  ['ap-pend', 'append'],
  ['memory', 'm'],
  ['xyzzy', undefined],
])('closest to %s is %s', (wrong, expected) => {
  expect(closest(wrong, ['m', 'smp', 'kernel', 'append'])).toBe(expected);
});
