/** Who is compared. */
import type { Architecture } from '../rootfs/closure.ts';
import type { StartMachine } from './machine.ts';
import { startQemu } from './qemu.ts';
import { startV86 } from './v86.ts';
import { startVirtab } from './virtab.ts';

export type Program = 'virtab' | 'qemu' | 'v86';

export interface Subject {
  readonly id: string;
  readonly name: string;
  readonly program: Program;
  readonly architecture: Architecture;
  /** The guest's name of its disk. */
  readonly disk: string;
  readonly start: StartMachine;
}

const VIRTAB = { program: 'virtab', disk: '/dev/vda' } as const;
const QEMU = { program: 'qemu', disk: '/dev/vda', start: startQemu } as const;

// oxfmt-ignore
export const SUBJECTS: readonly Subject[] = [
  { ...VIRTAB, id: 'virtab', name: 'Virtab, interpreter', architecture: 'amd64', start: startVirtab('off') },
  { ...VIRTAB, id: 'virtab-jit', name: 'Virtab, JIT', architecture: 'amd64', start: startVirtab('on') },
  { ...QEMU, id: 'qemu', name: 'QEMU TCG', architecture: 'amd64' },
  { id: 'v86', name: 'v86, IDE, 686', program: 'v86', architecture: 'i386', disk: '/dev/sda', start: startV86 },
  { ...VIRTAB, id: 'virtab-jit-686', name: 'Virtab, JIT, 686', architecture: 'i386', start: startVirtab('on') },
  { ...QEMU, id: 'qemu-686', name: 'QEMU TCG, 686', architecture: 'i386' },
];
