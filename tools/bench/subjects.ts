/** All that is compared. */
import { native } from './native.ts';
import { qemuTcg } from './qemu.ts';
import type { Subject } from './subject.ts';
import { v86 } from './v86.ts';
import { virtab } from './virtab.ts';

export const BOOT_SUBJECTS: readonly Subject[] = [
  virtab('off'),
  virtab('on'),
  qemuTcg,
  v86({ jit: true, scheduling: false }),
  v86({ jit: true, scheduling: true }),
  v86({ jit: false, scheduling: false }),
];
export const PROGRAM_SUBJECTS: readonly Subject[] = [native, ...BOOT_SUBJECTS];

/** What the others' times are divided by. */
export const REFERENCES = ['qemu', 'v86'];
