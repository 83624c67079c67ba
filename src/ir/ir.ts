/**
 * The intermediate representation: what an instruction's description becomes when it is built.
 * Pure values are trees of WebAssembly operators over temporaries; everything with an effect or an
 * order is a statement. A temporary is assigned once (`let`) unless it is made by `Builder.variable`.
 */

export type Type = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

export type Value =
  | { readonly kind: 'const'; readonly type: 'i32' | 'i64'; readonly value: bigint }
  | { readonly kind: 'vector'; readonly type: 'v128'; readonly bytes: Uint8Array }
  | { readonly kind: 'temp'; readonly type: Type; readonly id: number }
  /** `op` is the operator's name in the WebAssembly text format; `lanes` its immediates, if it has any. */
  | {
      readonly kind: 'op';
      readonly type: Type;
      readonly op: string;
      readonly args: readonly Value[];
      readonly lanes?: readonly number[];
    }
  /** A property of the instruction that this site knows only when it runs (a field of its record). */
  | { readonly kind: 'field'; readonly type: 'i32' | 'i64'; readonly name: FieldName };

export type Temp = Extract<Value, { kind: 'temp' }>;

/** Fields of a decoded record that values may come from. */
export type FieldName =
  | 'immediate'
  | 'immediate64'
  | 'displacement'
  | 'segment'
  | 'addressSize'
  | 'register'
  | 'rm'
  | 'effectiveAddress';

/** A register of the guest in its file: known (`offset` bytes into its file), or named by a field of the record. */
export type RegisterFile = 'general' | 'xmm' | 'mmx';

export interface RegisterRef {
  readonly file: RegisterFile;
  readonly where: number | 'reg' | 'rm' | 'vvvv';
}

/** The condition codes 0-15 of Jcc, SETcc and CMOVcc. */
export type Condition = number;

export type Statement =
  | { readonly kind: 'let'; readonly temp: Temp; readonly value: Value }
  | { readonly kind: 'assign'; readonly temp: Temp; readonly value: Value }
  | {
      readonly kind: 'if';
      readonly condition: Value;
      readonly yes: Statement[];
      readonly no: Statement[];
      readonly likely: boolean | undefined;
    }
  /** A field of the vCPU block; `op` is the load or store operator. */
  | {
      readonly kind: 'readState';
      readonly temp: Temp;
      readonly op: string;
      readonly offset: number;
      /** i32, in bytes, added to the offset. */
      readonly index?: Value;
    }
  | { readonly kind: 'writeState'; readonly op: string; readonly offset: number; readonly value: Value }
  | {
      readonly kind: 'readRegister';
      readonly temp: Temp;
      readonly register: RegisterRef;
      readonly bytes: number;
      readonly signed: boolean;
    }
  /** 4 bytes into a general register clear its upper half; other sizes leave the rest alone. */
  | {
      readonly kind: 'writeRegister';
      readonly register: RegisterRef;
      readonly bytes: number;
      readonly value: Value;
    }
  /** Effective to linear address, with the checks that the segment needs. `access`: SEGMENT_* of layout/vcpu.ts. */
  | {
      readonly kind: 'linear';
      readonly temp: Temp;
      readonly segment: Value;
      readonly offset: Value;
      readonly bytes: number;
      readonly access: number;
    }
  | {
      readonly kind: 'load';
      readonly temp: Temp;
      readonly linear: Value;
      readonly segment: Value;
      readonly bytes: number;
      readonly op: string;
    }
  | {
      readonly kind: 'store';
      readonly linear: Value;
      readonly segment: Value;
      readonly bytes: number;
      readonly op: string;
      readonly value: Value;
    }
  /**
   * Opens a read-modify-write: translates for write, gives the old contents. Closed by `updateEnd` with
   * the same `host`. With `locked` the statements between are repeated until nobody interfered.
   */
  | {
      readonly kind: 'updateBegin';
      readonly host: Temp;
      readonly old: Temp;
      readonly linear: Value;
      readonly segment: Value;
      readonly bytes: number;
      readonly signed: boolean;
      readonly locked: boolean;
    }
  | {
      readonly kind: 'updateEnd';
      readonly host: Temp;
      readonly old: Temp;
      readonly segment: Value;
      readonly bytes: number;
      readonly value: Value;
      readonly locked: boolean;
    }
  /** Lazy flags (FLAGS_* of the layout); what a kind does not use is absent. */
  | {
      readonly kind: 'flags';
      readonly flagKind: Value;
      readonly result: Value | undefined;
      readonly a: Value | undefined;
      readonly b: Value | undefined;
    }
  /** The flags of `mask` (at their EFLAGS positions) become those of `bits` (i64, zero elsewhere); the others stay. */
  | { readonly kind: 'flagBits'; readonly mask: bigint; readonly bits: Value }
  | { readonly kind: 'condition'; readonly temp: Temp; readonly condition: Condition }
  /** A function of the core (`layout/core-abi.ts`). With result `status` it is the last statement. */
  | {
      readonly kind: 'call';
      readonly name: string;
      readonly args: readonly Value[];
      readonly temp: Temp | undefined;
    }
  /** Raises a guest exception; `error` is absent for vectors without an error code. */
  | { readonly kind: 'raise'; readonly vector: number; readonly error: Value | undefined }
  | { readonly kind: 'nextRip'; readonly temp: Temp }
  /** #GP(0) if an indirect branch may not go there: non-canonical, or beyond the limit of CS. */
  | { readonly kind: 'checkTarget'; readonly target: Value }
  /** The same for the direct branch of this instruction, before it changes anything: beyond the limit of CS. */
  | { readonly kind: 'checkBranch' }
  /** Ends the instruction with a STATUS_* known at run time. Last statement on its path. */
  | { readonly kind: 'finish'; readonly status: Value }
  /** The direct branch of this instruction; with a condition, else falls through. Last statement. */
  | { readonly kind: 'branch'; readonly condition: Value | undefined }
  /** An indirect branch to (E/R)IP = target. Last statement. */
  | { readonly kind: 'branchTo'; readonly target: Value }
  /** Calls `checkFpu` with `check` if one of these FPU_BLOCKED_* bits says that the instruction may not run now. */
  | { readonly kind: 'fpuGate'; readonly blocked: number; readonly check: number }
  /** Orders memory accesses as MFENCE does, for other agents of this machine. */
  | { readonly kind: 'fence' }
  /** What is decoded depends on what was just changed: go on by a new look-up. Last statement. */
  | { readonly kind: 'leave' };

/** The type that a WebAssembly operator gives. */
export function resultType(op: string): Type {
  const dot = op.indexOf('.');
  const prefix = op.slice(0, dot);
  const name = op.slice(dot + 1);
  if (prefix === 'i32' || prefix === 'i64' || prefix === 'f32' || prefix === 'f64') {
    return /^(eqz|eq|ne|lt|gt|le|ge)(_[su])?$/.test(name) ? 'i32' : prefix;
  }
  if (/^(all_true|any_true|bitmask)$/.test(name)) return 'i32';
  if (name.startsWith('extract_lane')) {
    if (prefix === 'i64x2') return 'i64';
    if (prefix === 'f32x4') return 'f32';
    if (prefix === 'f64x2') return 'f64';
    return 'i32';
  }
  return 'v128';
}
