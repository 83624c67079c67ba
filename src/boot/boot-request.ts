/** What is to be booted, on what machine. */
export interface BootRequest {
  /** bzImage or vmlinux: its contents decide. */
  readonly kernel: Uint8Array;
  readonly initrd?: Uint8Array;
  readonly commandLine: string;
  readonly ramBytes: number;
  readonly cpus: number;
  /** COM ports that the machine has; 1 unless told. */
  readonly serialPorts?: number;
}
