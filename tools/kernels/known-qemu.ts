/** Lines of the test kernels' logs in which QEMU (TCG) differs from the manuals and from us, as data. */

export interface QemuDifference {
  readonly kernel: string;
  /** As it is in logs/NAME.log; stands there exactly once. */
  readonly line: string;
  /** What QEMU prints in its place. */
  readonly qemu: string;
  readonly why: string;
}

export const QEMU_DIFFERENCES: readonly QemuDifference[] = [
  {
    kernel: 'faults',
    line: 'unknown msr: #GP(0000) +5',
    qemu: 'unknown msr: ok',
    why: 'TCG reads 0 from MSRs that it does not know.',
  },
  {
    kernel: 'faults',
    line: 'exception without a gate: external bit: #GP(0033) +0',
    qemu: 'exception without a gate: external bit: #GP(0032) +0',
    why: 'SDM vol. 3, 6.13: EXT is set when the event being delivered was an exception; TCG sets it for hardware interrupts only.',
  },
  {
    kernel: 'faults',
    line: 'page not present, read-modify-write: #PF(0002) cr2=00300123 +0',
    qemu: 'page not present, read-modify-write: #PF(0000) cr2=00300123 +0',
    why: 'A CPU translates for the write at once; TCG loads first.',
  },
];

/** The log that QEMU is expected to print. */
export function asInQemu(kernel: string, log: string): string {
  const lines = log.split('\n');
  for (const { kernel: name, line, qemu, why } of QEMU_DIFFERENCES) {
    if (name !== kernel) continue;
    const at = lines.indexOf(line);
    if (at < 0 || lines.indexOf(line, at + 1) >= 0) {
      throw new Error(`known-qemu.ts: "${line}" is not once in ${kernel}.log (${why})`);
    }
    lines[at] = qemu;
  }
  return lines.join('\n');
}
