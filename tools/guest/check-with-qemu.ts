/**
 * Boots the default guest in native QEMU (TCG) and types at its console: what the guest itself must be able to do,
 * whatever runs it. Exit code 0 if all of it worked.
 *
 *     npx tsx tools/guest/check-with-qemu.ts [--linux-64 | --pvh] [--verbose] [-- more QEMU options]
 *
 * With --linux-64 or --pvh, QEMU's own firmware and loader stay out of it: src/boot lays out kernel, tables and the first
 * CPU state, and a small ROM of ours enters them. So the boot protocols and the ACPI tables are checked apart from our CPU.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIB } from '../../src/base/units.ts';
import { planBoot } from '../../src/boot/boot.ts';
import { bootRom, isInRom } from './boot-rom.ts';
import { GUEST_FOLDER } from './folders.ts';
import type { GuestManifest } from './manifest.ts';
import { extractVmlinux } from './vmlinux.ts';

const RAM_MIB = 512;
const TIMEOUT_MS = 180_000;
const PROMPT = 'root@virtab:~# ';

/** Typed in this order, each when the prompt is there; `expect` must appear before the next prompt. */
const DIALOGUE: readonly { readonly type: string; readonly expect: string }[] = [
  { type: 'echo $((6 * 7))', expect: '\n42\r\n' },
  { type: 'sleep 100 & jobs', expect: 'Running' },
  { type: 'kill %1; wait; echo gone', expect: '\ngone\r\n' },
  { type: 'tty', expect: '/dev/ttyS0' },
  { type: 'stty size', expect: '40 120' },
  // init starts another shell.
  { type: 'stty cols 90; exit', expect: 'Virtab: Linux' },
  { type: 'stty size; echo "[$COLUMNS]"', expect: '40 90\r\n[]' },
  { type: 'lsmod | grep -c ^virtio_net', expect: '\n1\r\n' },
  { type: 'modprobe loop && lsmod | grep loop', expect: 'loop ' },
  { type: 'ls /sys/bus/virtio/devices', expect: 'virtio0' },
  { type: 'pidof acpid > /dev/null && echo power button', expect: '\npower button\r\n' },
  { type: 'sleep 2; ip addr show eth0', expect: 'inet 10.0.2.15' },
];

/** QEMU's options for the way of booting that the command line asks for. */
async function bootArguments(manifest: GuestManifest, folder: string): Promise<string[]> {
  const kernelFile = join(GUEST_FOLDER, manifest.kernel.file);
  const initrdFile = join(GUEST_FOLDER, manifest.initrd.file);
  const commandLine = `${manifest.commandLine} COLUMNS=120 LINES=40`;
  const isPvh = process.argv.includes('--pvh');
  if (!isPvh && !process.argv.includes('--linux-64')) {
    return ['-kernel', kernelFile, '-initrd', initrdFile, '-append', commandLine];
  }
  const image = await readFile(kernelFile);
  const plan = planBoot({
    kernel: isPvh ? await extractVmlinux(image) : image,
    initrd: await readFile(initrdFile),
    commandLine,
    ramBytes: RAM_MIB * MIB,
    cpus: 1,
  });
  if (!plan.ok) throw new Error(plan.error.message);
  const { protocol, loads, start } = plan.value;
  console.log(`entering by ${protocol}`);
  const romFile = join(folder, 'rom');
  await writeFile(romFile, bootRom(start, loads));
  const inRam = loads.filter((item) => !isInRom(item));
  await Promise.all(inRam.map((item, index) => writeFile(join(folder, String(index)), item.bytes)));
  const loaders = inRam.flatMap((item, index) => [
    '-device',
    `loader,file=${join(folder, String(index))},addr=0x${item.gpa.toString(16)},force-raw=on`,
  ]);
  return ['-bios', romFile, ...loaders];
}

async function main(): Promise<number> {
  const manifest = JSON.parse(await readFile(join(GUEST_FOLDER, 'manifest.json'), 'utf8')) as GuestManifest;
  const separator = process.argv.indexOf('--');
  const more = separator < 0 ? [] : process.argv.slice(separator + 1);
  const isVerbose = process.argv.includes('--verbose');
  const folder = await mkdtemp(join(tmpdir(), 'virtab-qemu-'));
  const args = [
    ['-accel', 'tcg', '-m', String(RAM_MIB), '-nographic', '-no-reboot'],
    await bootArguments(manifest, folder),
    ['-netdev', 'user,id=net0', '-device', 'virtio-net-pci,netdev=net0'],
    more,
  ].flat();
  const qemu = spawn('qemu-system-x86_64', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = new Promise<number>((resolve, reject) => {
    qemu.on('error', reject);
    qemu.on('exit', (code) => resolve(code ?? -1));
  });
  const timer = setTimeout(() => qemu.kill(), TIMEOUT_MS);

  let output = '';
  let wake: () => void = () => undefined;
  qemu.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (isVerbose) process.stdout.write(text);
    wake();
  });
  /** Resolves with what came before `text`, which is consumed, or undefined when QEMU ended. */
  const until = async (text: string): Promise<string | undefined> => {
    for (;;) {
      const at = output.indexOf(text);
      if (at >= 0) {
        const before = output.slice(0, at);
        output = output.slice(at + text.length);
        return before;
      }
      const more = new Promise<'more'>((resolve) => (wake = () => resolve('more')));
      if ((await Promise.race([more, exited])) !== 'more') return undefined;
    }
  };

  const started = performance.now();
  let failures = 0;
  const report = (isGood: boolean, what: string): void => {
    console.log(`${isGood ? 'ok  ' : 'FAIL'} ${what}`);
    if (!isGood) failures++;
  };
  const boot = await until(PROMPT);
  report(boot !== undefined, `shell after ${((performance.now() - started) / 1000).toFixed(1)} s`);
  report(boot?.includes('Virtab: Linux') === true, 'banner');
  // busybox's shell says so when it has no controlling terminal.
  report(boot?.includes('job control turned off') === false, 'job control');
  for (const step of DIALOGUE) {
    qemu.stdin.write(`${step.type}\r`);
    const answer = await until(PROMPT);
    report(answer?.includes(step.expect) === true, step.type);
    if (answer === undefined) break;
    if (!answer.includes(step.expect)) console.log(answer);
  }
  qemu.stdin.write('poweroff\r');
  const code = await exited;
  clearTimeout(timer);
  await rm(folder, { recursive: true });
  report(code === 0 && output.includes('Power down'), 'poweroff ends the machine');
  return failures;
}

process.exitCode = (await main()) === 0 ? 0 : 1;
