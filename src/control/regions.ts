/** Translated regions of a running machine, and how its vCPU's time went among them. */

/** A region as it was asked for: what `formRegion` of src/jit makes it of again. */
export interface RegionDetail {
  /** Guest-physical address. */
  readonly page: number;
  /** MODE_* of layout/vcpu.ts. */
  readonly mode: number;
  /** Offsets of its blocks in the page, rising; of those that had to be entries; and of its entries, by number. */
  readonly leaders: readonly number[];
  readonly wanted: readonly number[];
  readonly entries: readonly number[];
  /** What its last instruction has of the next page. */
  readonly tail: Uint8Array;
  /** Of the guest. */
  readonly instructions: number;
  /** When it was installed: the vCPU's count of instructions. */
  readonly installedAt: number;
}

export interface InstalledRegion extends RegionDetail {
  /** In the vCPU's table: `VCPU.region` is this << 8 | entry while it runs. */
  readonly slot: number;
}

export interface HotRegion extends Omit<RegionDetail, 'tail'> {
  readonly samples: number;
  /** Its mode in words: `64-bit`. */
  readonly kind: string;
  /** The linear address of its page when it was last seen, in hexadecimal. */
  readonly linear: string;
  /** The page's bytes, and the tail, in hexadecimal; only of the hottest. */
  readonly code?: string;
}

/** Where the vCPU was found, looked at every few ms. */
export interface Profile {
  readonly samples: number;
  /** From the first look to the last one. */
  readonly ms: number;
  readonly halted: number;
  /** In the interpreter, in devices and in the run loop. */
  readonly interpreted: number;
  /** In regions that are not there any more. */
  readonly gone: number;
  /** The hottest first. */
  readonly regions: readonly HotRegion[];
}
