/** Reads what record.c wrote; the layout of a record is described in tools/record-x87/record.c. */
import { gunzipSync } from 'node:zlib';

export const RECORD_BYTES = 78;

/** A number of the extended format. */
export interface Extended {
  readonly se: number;
  readonly sig: bigint;
}

export interface FpuState {
  readonly control: number;
  readonly status: number;
  /** As FNSAVE stores it: two bits per physical register. */
  readonly tag: number;
  /** Low byte of EFLAGS. */
  readonly flags: number;
  readonly st0: Extended;
  readonly st1: Extended;
  readonly memory: Uint8Array;
}

export interface Recorded {
  readonly opcode: number;
  readonly modrm: number;
  /** Bytes of the memory operand, 0 for a register form. */
  readonly memoryBytes: number;
  readonly before: FpuState;
  readonly after: FpuState;
}

function extendedAt(view: DataView, at: number): Extended {
  return { sig: view.getBigUint64(at, true), se: view.getUint16(at + 8, true) };
}

function recordAt(data: Uint8Array, at: number): Recorded {
  const view = new DataView(data.buffer, data.byteOffset + at, RECORD_BYTES);
  const memoryBytes = view.getUint8(9);
  const memory = (from: number): Uint8Array => data.subarray(at + from, at + from + memoryBytes);
  return {
    opcode: view.getUint8(0),
    modrm: view.getUint8(1),
    memoryBytes,
    before: {
      control: view.getUint16(2, true),
      status: view.getUint16(4, true),
      tag: view.getUint16(6, true),
      flags: view.getUint8(8),
      st0: extendedAt(view, 10),
      st1: extendedAt(view, 20),
      memory: memory(30),
    },
    after: {
      control: view.getUint16(44, true),
      status: view.getUint16(40, true),
      tag: view.getUint16(42, true),
      flags: view.getUint8(46),
      st0: extendedAt(view, 48),
      st1: extendedAt(view, 58),
      memory: memory(68),
    },
  };
}

export function readRecording(data: Uint8Array): Recorded[] {
  const records: Recorded[] = [];
  for (let at = 0; at < data.length; at += RECORD_BYTES) records.push(recordAt(data, at));
  return records;
}

export function readCompressedRecording(gzip: Uint8Array): Recorded[] {
  return readRecording(gunzipSync(gzip));
}
