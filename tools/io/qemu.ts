/** Native QEMU with TCG and virtio-blk; its image is a file, through the host's page cache. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dropCache } from './host-cache.ts';
import type { IoMachine, IoMachineOptions } from './machine.ts';

const POWER_OFF_MS = 60_000;

export async function startQemu(options: IoMachineOptions): Promise<IoMachine> {
  const args = [
    '-accel',
    'tcg',
    '-m',
    String(options.memoryMib),
    '-nodefaults',
    '-display',
    'none',
    '-no-reboot',
  ]
    .concat('-serial', 'stdio', '-kernel', options.kernel, '-initrd', options.initrd)
    .concat('-append', options.commandLine, '-object', 'iothread,id=io')
    .concat(
      options.disks.flatMap((file, index) => [
        '-drive',
        `file=${file},format=raw,if=none,id=d${index},cache=writeback,aio=threads`,
        '-device',
        `virtio-blk-pci,drive=d${index},iothread=io`,
      ]),
    );
  const child = spawn('qemu-system-x86_64', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const exited = once(child, 'exit');
  // Looked at in `end`; a program that is not there ends the dialogue too.
  exited.catch(() => undefined);
  child.on('error', () => options.onOutput(undefined));
  child.on('exit', () => {
    process.off('exit', kill);
    options.onOutput(undefined);
  });
  child.stdout.setEncoding('latin1').on('data', options.onOutput);
  child.stdin.on('error', () => undefined);
  await once(child, 'spawn');
  return {
    send: (text) => void child.stdin.write(text),
    dropCache: () => options.disks.forEach(dropCache),
    end: async () => {
      const timer = setTimeout(kill, POWER_OFF_MS);
      await exited;
      clearTimeout(timer);
    },
    discard: async () => {
      kill();
      await exited;
    },
  };
}
