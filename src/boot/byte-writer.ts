/** A little-endian structure under construction: zeros, into which fields are put at their offsets. */
import { TWO_32 } from '../base/bits.ts';

export class ByteWriter {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }

  u8(offset: number, value: number): this {
    this.#view.setUint8(offset, value);
    return this;
  }

  u16(offset: number, value: number): this {
    this.#view.setUint16(offset, value, true);
    return this;
  }

  u32(offset: number, value: number): this {
    this.#view.setUint32(offset, value, true);
    return this;
  }

  /** Exact up to 2^53. */
  u64(offset: number, value: number): this {
    this.#view.setUint32(offset, value % TWO_32, true);
    this.#view.setUint32(offset + 4, Math.floor(value / TWO_32), true);
    return this;
  }

  ascii(offset: number, text: string): this {
    for (let index = 0; index < text.length; index++) this.u8(offset + index, text.charCodeAt(index));
    return this;
  }

  put(offset: number, source: ArrayLike<number>): this {
    this.bytes.set(source, offset);
    return this;
  }
}
