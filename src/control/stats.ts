/** Figures of a running machine, read from counters in the shared memory and from the vCPU's thread. */

/** Whether the CPU executes, waits in HLT for an interrupt, or has halted with interrupts off: nothing but reset wakes it. */
export type HaltState = 'no' | 'waiting' | 'for-good';

export interface MachineStats {
  /** Guest instructions since power-on, all vCPUs. */
  readonly instructions: number;
  readonly blocksDecoded: number;
  readonly instructionsDecoded: number;
  readonly tlbFills: number;
  readonly exceptions: number;
  readonly interrupts: number;
  readonly invalidations: number;
  /** Instructions that raised #UD because the table does not have them (yet). */
  readonly undefined: number;
  /** Calls of translated code. */
  readonly regionEntries: number;
  readonly regionInstructions: number;
  /** Millions of guest instructions per second of wall time since the last figures. */
  readonly mips: number;
  readonly halted: HaltState;
}
