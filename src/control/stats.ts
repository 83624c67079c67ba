/** Figures of a running machine, read from counters in the shared memory and from the vCPU's thread. */

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
  /** Millions of guest instructions per second of wall time since the last figures. */
  readonly mips: number;
}
