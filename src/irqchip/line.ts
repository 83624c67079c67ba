/** An interrupt line as a device sees it: it drives a level and knows nothing of what is behind. */
export interface InterruptLine {
  set(asserted: boolean): void;
}

/** What travels from an I/O APIC, an MSI or an ICR to the local APICs (SDM 3A 11.6.1, 11.11). */
export interface InterruptMessage {
  readonly vector: number;
  /** DELIVERY_*. */
  readonly mode: number;
  readonly logical: boolean;
  readonly destination: number;
  /** The destination means everybody: FFh in 8 bits, FFFFFFFFh from an x2APIC's ICR. */
  readonly broadcast: boolean;
  readonly level: boolean;
}

export const DELIVERY_FIXED = 0;
export const DELIVERY_LOWEST = 1;
export const DELIVERY_SMI = 2;
export const DELIVERY_NMI = 4;
export const DELIVERY_INIT = 5;
export const DELIVERY_STARTUP = 6;
export const DELIVERY_EXTINT = 7;
