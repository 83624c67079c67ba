/** Lines of the test kernels' logs in which QEMU (TCG) differs from the manuals and from us, as data. */

export interface QemuDifference {
  readonly kernel: string;
  /** As it is in logs/NAME.log, wherever it stands there. */
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
  {
    kernel: 'gates',
    line: 'call gate to conforming code, from user: no parameters copied: ok; cs 006b ss 0033, 8 bytes on the stack, if 1 tf 0 nt 0',
    qemu: 'call gate to conforming code, from user: no parameters copied: ok; cs 0068 ss 0033, 8 bytes on the stack, if 1 tf 0 nt 0',
    why: 'The RPL of CS becomes CPL (SDM vol. 2, CALL, SAME-PRIVILEGE); TCG leaves that of the gate, so that its CPL and CS disagree.',
  },
  {
    kernel: 'gates',
    line: 'far return to user with a stack not present: #SS(0058) +11',
    qemu: 'far return to user with a stack not present: #NP(0058) +11',
    why: 'SDM vol. 2, RET: #SS(selector) for a stack segment that is not present.',
  },
  {
    kernel: 'gates',
    line: 'iret to user with a stack not present: #SS(0058) +12',
    qemu: 'iret to user with a stack not present: #NP(0058) +12',
    why: 'SDM vol. 2, IRET: #SS(selector) for a stack segment that is not present.',
  },
  {
    kernel: 'tasks',
    line: 'task that starts beyond its limit: #GP(0000) at another place',
    qemu: 'task that starts beyond its limit: #GP(0000) +0',
    why: "SDM vol. 3, 8.3: EIP is checked after the switch is committed, so the fault is the new task's; TCG shows the old EIP.",
  },
  {
    kernel: 'tasks',
    line: 'task with the trap bit: #DB at another place',
    qemu: 'task with the trap bit: ok',
    why: 'TCG has no T flag of the TSS (SDM vol. 3, 18.3.1.5).',
  },
  {
    kernel: 'tasks',
    line: '  dr6 8000, in task 0058, at its first instruction 1',
    qemu: '  dr6 0000, in task 0038, at its first instruction 0',
    why: 'TCG has no T flag of the TSS (SDM vol. 3, 18.3.1.5).',
  },
  {
    kernel: 'privilege',
    line: 'code: lar 1 00c09b00, lsl 1 ffffffff, verr 1, verw 0',
    qemu: 'code: lar 1 00c09a00, lsl 1 ffffffff, verr 1, verw 0',
    why: 'A far jump sets the accessed bit of the code segment; in TCG it does not.',
  },
  {
    kernel: 'privilege',
    line: 'pvi: cli: ok',
    qemu: 'pvi: cli: #GP(0000) +0',
    why: 'TCG has no protected-mode virtual interrupts (CR4.PVI).',
  },
  {
    kernel: 'privilege',
    line: '  if 1 vif 0',
    qemu: '  if 0 vif 0',
    why: 'TCG has no protected-mode virtual interrupts (CR4.PVI).',
  },
  {
    kernel: 'privilege',
    line: 'pvi: sti: ok',
    qemu: 'pvi: sti: #GP(0000) +0',
    why: 'TCG has no protected-mode virtual interrupts (CR4.PVI).',
  },
  {
    kernel: 'privilege',
    line: '  if 1 vif 1',
    qemu: '  if 0 vif 0',
    why: 'TCG has no protected-mode virtual interrupts (CR4.PVI).',
  },
  {
    kernel: 'paging',
    line: 'pusha over the edge: #PF(0006) cr2=00403ffc +5',
    qemu: 'pusha over the edge: #PF(0006) cr2=00403ff0 +5',
    why: 'PUSHA pushes from the top down; TCG writes the lowest word first.',
  },
  {
    kernel: 'paging',
    line: 'enter: #PF(0006) cr2=00403ff0 +5',
    qemu: 'enter: #PF(0006) cr2=00403fec +9',
    why: 'SDM vol. 2, ENTER: #PF if a write at the new stack pointer would fault; TCG does not look.',
  },
  {
    kernel: 'paging',
    line: 'enter that touches the new top: #PF(0006) cr2=00403ff0 +7',
    qemu: 'enter that touches the new top: ok',
    why: 'SDM vol. 2, ENTER: #PF if a write at the new stack pointer would fault; TCG does not look.',
  },
  {
    kernel: 'paging',
    line: '  esp at the fault 00404004',
    qemu: '  esp at the fault 00403ff0',
    why: 'SDM vol. 2, ENTER: #PF if a write at the new stack pointer would fault; TCG does not look.',
  },
  {
    kernel: 'paging',
    line: 'xchg: #PF(0006) cr2=00403000 +5',
    qemu: 'xchg: #PF(0004) cr2=00403000 +5',
    why: 'A CPU translates for the write at once; TCG loads first.',
  },
  {
    kernel: 'paging',
    line: 'global page: aaaa, after cr3 aaaa, after pge 1234',
    qemu: 'global page: aaaa, after cr3 1234, after pge 1234',
    why: 'TCG flushes everything; keeping global entries is what a CPU may do, and does.',
  },
  {
    kernel: 'paging',
    line: "the CPU's own access to a descriptor table is not helped by ac: #PF(0001) cr2=00408000 +16",
    qemu: "the CPU's own access to a descriptor table is not helped by ac: ok",
    why: 'SDM vol. 3, 4.6.1: EFLAGS.AC does not concern implicit supervisor-mode accesses.',
  },
  {
    kernel: 'paging',
    line: 'reserved bit 21: #PF(0009) cr2=00c12344 +0',
    qemu: 'reserved bit 21: #PF(0008) cr2=00c12344 +0',
    why: 'SDM vol. 3, 4.7: a fault by a reserved bit has P = 1.',
  },
  {
    kernel: 'paging',
    line: 'reserved bit 13: #PF(0009) cr2=00c12344 +0',
    qemu: 'reserved bit 13: #PF(0008) cr2=00c12344 +0',
    why: 'SDM vol. 3, 4.7: a fault by a reserved bit has P = 1.',
  },
  {
    kernel: 'paging',
    line: 'reserved bit, user writes: #PF(000f) cr2=00c12344 +0',
    qemu: 'reserved bit, user writes: #PF(000e) cr2=00c12344 +0',
    why: 'SDM vol. 3, 4.7: a fault by a reserved bit has P = 1.',
  },
  {
    kernel: 'paging',
    line: 'reserved bit 58: #PF(0009) cr2=00c12344 +0',
    qemu: 'reserved bit 58: #PF(0008) cr2=00c12344 +0',
    why: 'SDM vol. 3, 4.7: a fault by a reserved bit has P = 1.',
  },
  {
    kernel: 'paging',
    line: 'nx is reserved without efer.nxe: #PF(0009) cr2=00409000 +0',
    qemu: 'nx is reserved without efer.nxe: #PF(0008) cr2=00409000 +0',
    why: 'SDM vol. 3, 4.7: a fault by a reserved bit has P = 1.',
  },
  {
    kernel: 'paging',
    line: 'reserved bit 52: #PF(0009) cr2=00409000 +0',
    qemu: 'reserved bit 52: #PF(0008) cr2=00409000 +0',
    why: 'SDM vol. 3, 4.7: a fault by a reserved bit has P = 1.',
  },
  {
    kernel: 'long',
    line: 'non-canonical by rbp: #SS(0000) +16',
    qemu: 'non-canonical by rbp: #GP(0000) +16',
    why: 'SDM vol. 3, 6.15: a non-canonical address by way of SS (RBP, RSP) is a stack fault.',
  },
  {
    kernel: 'long',
    line: '8 bytes over the end of the lower half: #GP(0000) +10',
    qemu: '8 bytes over the end of the lower half: #PF(0000) cr2=00007ffffffffffc +10',
    why: 'TCG looks at the first byte only.',
  },
  {
    kernel: 'long',
    line: 'jump to a non-canonical address: #GP(0000) +10',
    qemu: 'jump to a non-canonical address: #GP(0000) at another place',
    why: 'APM vol. 3, JMP (near): the branch itself faults; in TCG the fetch does.',
  },
  {
    kernel: 'long',
    line: 'wrmsr of a non-canonical base: #GP(0000) +12',
    qemu: 'wrmsr of a non-canonical base: ok',
    why: 'TCG does not check what is written to MSRs.',
  },
  {
    kernel: 'long',
    line: 'iret to a non-canonical address: #GP(0000) +20',
    qemu: 'iret to a non-canonical address: #GP(0000) at another place',
    why: 'APM vol. 3, IRET: the return itself faults; in TCG the fetch does.',
  },
  {
    kernel: 'long',
    line: 'iret to 64-bit code with d = 1: #GP(0058) +8',
    qemu: 'iret to 64-bit code with d = 1: #PF(0000) cr2=ffffffffffffffef at another place',
    why: 'L and D together are reserved (SDM vol. 3, 5.2.1); TCG does not check.',
  },
  {
    kernel: 'long',
    line: 'ist 1 at cpl 0: its top 1, ss 0010',
    qemu: 'ist 1 at cpl 0: its top 1, ss 0000',
    why: 'APM vol. 2, 8.9.4: SS becomes null where the privilege changes, not because of an IST.',
  },
  {
    kernel: 'long',
    line: 'ist that is not canonical: #SS(0001) +0',
    qemu: 'ist that is not canonical: #SS(0000) +0',
    why: 'SDM vol. 3, 6.13: EXT is set when the event being delivered was an exception.',
  },
  {
    kernel: 'long',
    line: 'reserved bit 13 of a 1 GiB page: #PF(0009) cr2=ffff800000100000 +10',
    qemu: 'reserved bit 13 of a 1 GiB page: #PF(0008) cr2=ffff800000100000 +10',
    why: 'SDM vol. 3, 4.7: a fault by a reserved bit has P = 1.',
  },
  {
    kernel: 'long',
    line: 'ps in the PML4 is reserved: #PF(0009) cr2=ffff800000100000 +10',
    qemu: 'ps in the PML4 is reserved: #PF(0008) cr2=ffff800000100000 +10',
    why: 'SDM vol. 3, 4.7: a fault by a reserved bit has P = 1.',
  },
];

/** The log that QEMU is expected to print. */
export function asInQemu(kernel: string, log: string): string {
  let lines = log.split('\n');
  for (const { kernel: name, line, qemu, why } of QEMU_DIFFERENCES) {
    if (name !== kernel) continue;
    if (!lines.includes(line)) throw new Error(`known-qemu.ts: "${line}" is not in ${kernel}.log (${why})`);
    lines = lines.map((given) => (given === line ? qemu : given));
  }
  return lines.join('\n');
}
