/** Typed views of the one shared memory. Every thread makes its own set over the same buffer. */
export interface Views {
  readonly buffer: ArrayBufferLike;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  /** For accesses that need not be aligned. */
  readonly data: DataView;
}

export function viewsOf(buffer: ArrayBufferLike): Views {
  return {
    buffer,
    u8: new Uint8Array(buffer),
    u16: new Uint16Array(buffer),
    u32: new Uint32Array(buffer),
    i32: new Int32Array(buffer),
    f64: new Float64Array(buffer),
    data: new DataView(buffer),
  };
}
