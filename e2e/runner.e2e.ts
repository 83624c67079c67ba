/** `npm run vm`: exit codes, messages and figures, in Chromium and in Node. */
import { readFileSync, writeFileSync } from 'node:fs';
import { pvhKernel } from '../src/machine/pvh-kernel.ts';
import { alive, expect, test } from './runner-process.ts';
import { debugExit, ECHO, POWER_OFF, print, RESET, SPIN, TRIPLE_FAULT } from './tiny-guest.ts';

/** The shell of the default guest (tools/guest/initramfs.ts). */
const PROMPT = 'root@virtab:~#';

interface JitStats {
  readonly jit: { readonly regions: number; readonly turns: number };
  readonly counters: { readonly regionInstructions: number };
}

const ANY_NUMBER: unknown = expect.any(Number);

function containing(text: string): unknown {
  return expect.stringContaining(text);
}

const EXIT_DEVICE = ['-device', 'isa-debug-exit,iobase=0xf4,iosize=0x04'];
const MODES = [
  { name: 'in Chromium', mode: [] },
  { name: 'in Node', mode: ['--node'] },
] as const;

for (const { name, mode } of MODES) {
  test.describe(name, () => {
    test('a debug exit gives (value << 1) | 1', async ({ vm }, testInfo) => {
      const kernel = testInfo.outputPath('vmlinux');
      writeFileSync(kernel, pvhKernel([...print('hello\n'), ...debugExit(5), ...SPIN]));
      const run = await vm([...mode, '-kernel', kernel, ...EXIT_DEVICE]);
      expect(run).toMatchObject({ code: 11, stdout: 'hello\n' });
    });

    test('a power-off is success', async ({ vm }, testInfo) => {
      const kernel = testInfo.outputPath('vmlinux');
      writeFileSync(kernel, pvhKernel([...print('bye\n'), ...POWER_OFF, ...SPIN]));
      const run = await vm([...mode, '-kernel', kernel]);
      expect(run).toMatchObject({ code: 0, stdout: 'bye\n' });
    });

    test('a timeout ends a guest that spins, with registers', async ({ vm }, testInfo) => {
      const kernel = testInfo.outputPath('vmlinux');
      writeFileSync(kernel, pvhKernel([...print('spinning\n'), ...SPIN]));
      const run = await vm([...mode, '-kernel', kernel, '--timeout', '2']);
      expect(run).toMatchObject({ code: 124, stdout: 'spinning\n' });
      expect(run.stderr).toContain('the time of 2 s (--timeout) is over');
      expect(run.stderr).toContain('RIP=00000000001000');
    });

    test('a triple fault with -no-reboot says where', async ({ vm }, testInfo) => {
      const kernel = testInfo.outputPath('vmlinux');
      writeFileSync(kernel, pvhKernel(TRIPLE_FAULT));
      const run = await vm([...mode, '-kernel', kernel, '-no-reboot']);
      expect(run.code).toBe(1);
      expect(run.stderr).toContain('The guest caused a triple fault at rip 0x');
    });

    test('a reset with -no-reboot is a good end', async ({ vm }, testInfo) => {
      const kernel = testInfo.outputPath('vmlinux');
      writeFileSync(kernel, pvhKernel([...print('once\n'), ...RESET, ...SPIN]));
      const run = await vm([...mode, '-kernel', kernel, '-no-reboot']);
      expect(run).toMatchObject({ code: 0, stdout: 'once\n' });
    });

    test('--info jit tells which translated code took the time, and --stats keeps it', async ({
      vm,
    }, testInfo) => {
      const kernel = testInfo.outputPath('vmlinux');
      const stats = testInfo.outputPath('stats.json');
      // mov ecx, 10000000h; 1: dec ecx; jnz 1b
      const loop = [0xb9, 0x00, 0x00, 0x00, 0x10, 0x49, 0x75, 0xfd];
      writeFileSync(kernel, pvhKernel([...loop, ...print('done\n'), ...POWER_OFF, ...SPIN]));
      const run = await vm([...mode, '-kernel', kernel, '-jit', 'on', '--info', 'jit', '--stats', stats]);
      expect(run).toMatchObject({ code: 0, stdout: 'done\n' });
      expect(run.stderr).toMatch(
        /\nlooked \d+ times in [\d.]+ s: .* in 1 regions\npage .*\n100000 +00100000 .*32-bit +1 +2 +8d\n/,
      );
      const code: unknown = expect.stringContaining('4975fd');
      expect(JSON.parse(readFileSync(stats, 'utf8'))).toMatchObject({
        info: { profile: { regions: [{ page: 0x100000, leaders: [0x8d], samples: ANY_NUMBER, code }] } },
      });
    });

    test('stdin reaches the guest, --until ends the run, --stats has the figures', async ({
      vm,
    }, testInfo) => {
      const kernel = testInfo.outputPath('vmlinux');
      const stats = testInfo.outputPath('stats.json');
      writeFileSync(kernel, pvhKernel([...print('ready\n'), ...ECHO]));
      const run = await vm([...mode, '-kernel', kernel, '--until', 'typed', '--stats', stats], 'typed');
      expect(run).toMatchObject({ code: 0, stdout: 'ready\ntyped' });
      expect(JSON.parse(readFileSync(stats, 'utf8'))).toMatchObject({
        ended: 'until',
        instructions: ANY_NUMBER,
        exits: { budget: ANY_NUMBER },
        resetToFirstOutputMs: ANY_NUMBER,
        resetToUntilMs: ANY_NUMBER,
      });
    });

    test('a signal ends the run with 130', async ({ startVm }, testInfo) => {
      const kernel = testInfo.outputPath('vmlinux');
      writeFileSync(kernel, pvhKernel([...print('spinning\n'), ...SPIN]));
      const runner = startVm([...mode, '-kernel', kernel]);
      await runner.waitForOutput('spinning\n');
      runner.signal('SIGHUP');
      expect(await runner.finished).toMatchObject({ code: 130, stdout: 'spinning\n' });
    });

    test('a reader of the output that goes away ends the run', async ({ startVm }, testInfo) => {
      const kernel = testInfo.outputPath('vmlinux');
      // The jump goes back to the first instruction.
      writeFileSync(kernel, pvhKernel([...print('again\n'), 0xeb, 0xe8]));
      const runner = startVm([...mode, '-kernel', kernel]);
      await runner.waitForOutput('again\n');
      runner.closeOutput();
      expect(await runner.finished).toMatchObject({ code: 141 });
    });

    test('the end of the parent process ends the run, and its browser', async ({
      startVmInShell,
    }, testInfo) => {
      const kernel = testInfo.outputPath('vmlinux');
      writeFileSync(kernel, pvhKernel([...print('spinning\n'), ...SPIN]));
      const shell = startVmInShell([...mode, '-kernel', kernel]);
      await shell.waitForOutput('spinning\n');
      const processes = shell.processes();
      expect(alive(processes)).toHaveLength(processes.length);
      shell.signal('SIGKILL');
      await expect.poll(() => alive(processes), { timeout: 15_000 }).toEqual([]);
    });

    test('a kernel that is none is refused with the reason', async ({ vm }, testInfo) => {
      const kernel = testInfo.outputPath('vmlinuz');
      writeFileSync(kernel, Buffer.alloc(4096, 0x5a));
      const run = await vm([...mode, '-kernel', kernel]);
      expect(run).toMatchObject({ code: 1, stdout: '' });
      expect(run.stderr).toContain('neither a Linux nor a multiboot header');
    });
  });
}

test('64 KiB and more of output arrive complete', async ({ vm }, testInfo) => {
  const kernel = testInfo.outputPath('vmlinux');
  // mov ecx, 200000; mov dx, 3FDh; in al, dx; test al, 20h; jz back; mov dx, 3F8h; mov al, cl; out; loop.
  const flood = [
    0xb9, 0x40, 0x0d, 0x03, 0x00, 0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74, 0xfb, 0x66, 0xba, 0xf8,
    0x03, 0x88, 0xc8, 0xee, 0xe2, 0xee,
  ]; // prettier-ignore
  writeFileSync(kernel, pvhKernel([...flood, ...POWER_OFF, ...SPIN]));
  const run = await vm(['--node', '-kernel', kernel]);
  const expected = Buffer.from(Array.from({ length: 200_000 }, (_, n) => (200_000 - n) & 0xff));
  expect(Buffer.from(run.stdout, 'latin1').equals(expected)).toBe(true);
});

test('wrong options name themselves and end with 2', async ({ vm }) => {
  expect(await vm(['-kernle', 'x'])).toMatchObject({
    code: 2,
    stderr: containing('Unknown option -kernle'),
  });
  expect(await vm(['-smp', '2'])).toMatchObject({
    code: 2,
    stderr: containing('-smp 2'),
  });
  expect(await vm(['-kernel', '/nonexistent'])).toMatchObject({
    code: 2,
    stderr: containing('-kernel /nonexistent: there is no such file'),
  });
});

test('too little memory for the kernel says how much it needs', async ({ vm }) => {
  const run = await vm(['--node', '-m', '32']);
  expect(run.code).toBe(1);
  expect(run.stderr).toContain('needs 68 MiB of memory');
});

test.describe('the default guest with -jit on', () => {
  test('boots, computes what it should in translated code, powers off', async ({ startVm }, testInfo) => {
    test.setTimeout(240_000);
    const stats = testInfo.outputPath('stats.json');
    const runner = startVm(['-jit', 'on', '--stats', stats]);
    await runner.waitForOutput(PROMPT, 120_000);
    runner.type('echo product $((6*7))\n');
    await runner.waitForOutput('product 42');
    runner.type('seq 1 1000 | md5sum\n');
    await runner.waitForOutput('53d025127ae99ab79e8502aae2d9bea6');
    runner.type('dd if=/dev/zero bs=1M count=4 2>/dev/null | sha256sum\n');
    await runner.waitForOutput('bb9f8df61474d25e71fa00722318cd387396ca1736605e1248821cc0de3d3af8', 60_000);
    runner.type('i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo counted $i\n');
    await runner.waitForOutput('counted 20000', 60_000);
    runner.type('poweroff -f\n');
    expect(await runner.finished).toMatchObject({ code: 0 });
    const { jit, counters } = JSON.parse(readFileSync(stats, 'utf8')) as JitStats;
    expect(jit.regions).toBeGreaterThan(100);
    // The compile worker made them.
    expect(jit.turns).toBeGreaterThan(20);
    expect(counters.regionInstructions).toBeGreaterThan(10_000_000);
  });
});
