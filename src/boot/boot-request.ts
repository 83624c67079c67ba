/** What is to be booted, on what machine. */
export interface BootRequest {
  /** bzImage, multiboot kernel or vmlinux: its contents decide. */
  readonly kernel: Uint8Array;
  /** A multiboot kernel finds it in front of its command line, as in QEMU. */
  readonly kernelName?: string;
  readonly initrd?: Uint8Array;
  /** For a multiboot kernel, in place of the initrd. */
  readonly modules?: readonly BootModule[];
  readonly commandLine: string;
  readonly ramBytes: number;
  readonly cpus: number;
  /** COM ports that the machine has; 1 unless told. */
  readonly serialPorts?: number;
}

export interface BootModule {
  /** Name of its file and, behind a blank, what the kernel is to know about it. */
  readonly commandLine: string;
  readonly bytes: Uint8Array;
}
