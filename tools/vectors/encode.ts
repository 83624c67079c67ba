/** Builds one case of a form: code bytes, and registers and memory arranged so that operands land where they tell most. */
import { operandSizes } from '../../src/isa/forms.ts';
import type { Form } from '../../src/isa/forms.ts';
import type { OperandSpec, Row } from '../../src/isa/tables/row.ts';
import {
  hasModrm,
  MAP_ESCAPES,
  MAP_VEX,
  PREFIX_66,
  PREFIX_BYTES,
  PREFIX_F2,
  PREFIX_F3,
  PREFIX_NONE,
  rmOperand,
} from '../../src/isa/tables/row.ts';
import { SET_EFLAGS } from '../../src/interp/vectors-file.ts';
import type { CaseInput } from '../../src/interp/vectors-file.ts';
import type { CaseState, Profile, Random } from '../../src/interp/vectors-state.ts';
import {
  CODE_BASE,
  CODE_BYTES,
  DATA_WINDOW,
  LOW_WINDOW,
  PROFILES,
  READ_ONLY_PAGE,
  STACK_BASE_16,
  STACK_WINDOW,
  STATE,
} from '../../src/interp/vectors-state.ts';
import { FLAG_AC, FLAG_DF } from '../../src/layout/registers.ts';

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const RSP = 4;
const RBP = 5;
const RSI = 6;
const RDI = 7;

/** Code and data selectors that a segment load or a far transfer may meet: good, wrong type, null, absent, outside. */
const CODE_SELECTORS = [
  0x23, 0x33, 0x07, 0x37, 0x47, 0x67, 0x23, 0x33, 0x37, 0, 3, 0x2b, 0x0f, 0x57, 0x5f, 0x7f, 0x10, 0x30,
  0x1007,
];
const DATA_SELECTORS = [
  0x2b, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x3f, 0x2b, 0x37, 0x47, 0, 1, 2, 3, 0x4f, 0x57, 0x7f, 0x18, 0x28, 0x29,
  0x0c, 0x1007,
];

export interface FormVariant {
  readonly form: Form;
  readonly profile: number;
  /** 0 none, F3 or F2 for string instructions. */
  readonly repeat: number;
}

/** Operand sizes that an encoding in this mode can give the form, or undefined if it has none there. */
export function encodable(form: Form, mode: 16 | 32 | 64): boolean {
  const { row, operandBits } = form;
  const { attributes } = row;
  if (mode === 64 ? attributes.has('i64') : attributes.has('o64')) return false;
  if (operandBits === 64 && mode !== 64) return false;
  if (mode === 64 && operandBits === 32 && attributes.has('d64')) return false;
  if (mode === 64 && operandBits === 32 && attributes.has('f64')) return false;
  // 66h selects another row here.
  if (
    row.prefix === PREFIX_NONE &&
    (operandBits === 16 || operandBits === 32) &&
    operandSizes(row).includes(16)
  ) {
    if (operandBits !== (mode === 16 ? 16 : 32)) return false;
  }
  // XCHG EAX,EAX is NOP but for REX.B.
  if (mode !== 64 && row.map === 0 && row.opcode === 0x90 && row.semantics === 'xchgReg') return false;
  return true;
}

const MASKS: Record<number, bigint> = { 16: 0xffffn, 32: 0xffffffffn, 64: 0xffffffffffffffffn };

export class CaseBuilder {
  readonly #variant: FormVariant;
  readonly #profile: Profile;
  readonly #random: Random;
  readonly #state: CaseState;
  readonly #registers = new Map<number, bigint>();
  readonly #memory: { linear: number; bytes: Uint8Array }[] = [];
  #rex = 0;
  #rexNeeded = false;
  #prefixes: number[] = [];
  #segment: number | undefined;
  #addressBits = 0;
  /** Linear address of the memory operand, where it was aimed at one. */
  #target: bigint | undefined;
  /** To be patched once the length is known: displacement of a RIP-relative operand. */
  #ripRelative: { at: number; target: bigint } | undefined;
  readonly #body: number[] = [];
  /** VEX.vvvv, not inverted. */
  #vvvv = 0;

  /** `state` holds the seeded state of this case. */
  constructor(variant: FormVariant, state: CaseState, random: Random) {
    this.#variant = variant;
    this.#profile = PROFILES[variant.profile]!;
    this.#state = state;
    this.#random = random;
  }

  #chance(percent: number): boolean {
    return this.#random.below(100) < percent;
  }

  #register(index: number): bigint {
    return this.#registers.get(index) ?? this.#state.gpr(index);
  }

  /** Sets the low `bits` of a register; 32-bit code has no high halves. */
  #setRegister(index: number, value: bigint, bits: number): void {
    const mask = MASKS[bits]!;
    const kept = this.#register(index) & (MASKS[64]! ^ mask);
    this.#registers.set(index, kept | (value & mask));
  }

  #setMemory(linear: bigint, bytes: Uint8Array): void {
    this.#memory.push({ linear: Number(linear), bytes });
  }

  #setMemoryValue(linear: bigint, value: bigint, bytes: number): void {
    const data = new Uint8Array(bytes);
    for (let i = 0; i < bytes; i++) data[i] = Number((value >> BigInt(i * 8)) & 0xffn);
    this.#setMemory(linear, data);
  }

  build(): CaseInput {
    const { form, repeat } = this.#variant;
    const { row } = form;
    const { mode } = this.#profile;
    const random = this.#random;
    this.#addressBits = mode;
    const addresses = form.memory || usesAddressSize(row);
    if (addresses && this.#chance(16)) {
      this.#addressBits = mode === 32 ? 16 : 32;
      this.#prefixes.push(0x67);
    }
    if (addresses && this.#chance(14)) {
      this.#segment = random.below(6);
      this.#prefixes.push([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65][this.#segment]!);
    }
    this.#operandSizePrefix();
    if (form.locked && !(row.semantics === 'xchg' && this.#chance(70))) this.#prefixes.push(0xf0);
    if (repeat) this.#prefixes.push(repeat);
    if (this.#prefixes.length > 1 && this.#chance(30)) this.#prefixes.reverse();
    const mandatory = PREFIX_BYTES[row.prefix];
    if (mandatory !== undefined && (row.map & MAP_VEX) === 0) this.#prefixes.push(mandatory);
    if (mode === 64 && this.#chance(20)) this.#rexNeeded = true;
    if (row.operands.some(({ letter }) => letter === 'B')) this.#vvvv = random.below(mode === 64 ? 16 : 8);

    this.#body.push(...(MAP_ESCAPES[row.map] ?? []));
    this.#body.push(row.opcode);
    if (mode === 64 && row.operands.some(({ letter }) => letter === 'Z')) {
      if (row.opcode === 0x90 || this.#chance(50)) this.#rex |= 1;
    }
    this.#before();
    if (hasModrm(row)) this.#modrm();
    for (const operand of row.operands) this.#immediate(operand);
    this.#after();
    if (this.#chance(4) && (form.memory || usesStack(row))) {
      this.#registers.set(SET_EFLAGS, BigInt(this.#state.view.getUint32(STATE.eflags, true) | FLAG_AC));
    }

    const codeLinear = this.#codeAddress();
    const code = this.#finishCode(codeLinear);
    return {
      code,
      codeLinear,
      breakpointStop: repeat !== 0,
      registers: [...this.#registers].map(([target, value]) => ({ target, value })),
      memory: this.#memory,
    };
  }

  #operandSizePrefix(): void {
    const { form } = this.#variant;
    const { mode } = this.#profile;
    const { attributes, prefix } = form.row;
    const bits = form.operandBits;
    if (bits === 0) {
      // 66h and REX.W change nothing; only now and then, and never where 66h selects another instruction.
      if (mode === 64 && form.row.map === 0 && this.#chance(10) && !sizedByPrefix(form.row)) this.#rex |= 8;
      return;
    }
    const small = form.row.operands.some(({ size }) => size === 'y') && !hasSize(form.row);
    if (mode === 64) {
      if (bits === 16) this.#prefixes.push(0x66);
      const free = attributes.has('d64') || attributes.has('f64');
      if (bits === 64 && (!free || this.#chance(15))) this.#rex |= 8;
      if (bits === 64 && attributes.has('o64') && !attributes.has('os') && small) this.#rex |= 8;
    } else if (!small && bits !== mode && prefix !== PREFIX_66) this.#prefixes.push(0x66);
  }

  /** Where the code goes: usually in the middle of a page, sometimes across a boundary or up to the end of the pages. */
  #codeAddress(): number {
    const r = this.#random.below(100);
    const length = this.#prefixes.length + 1 + this.#body.length;
    const { row } = this.#variant.form;
    // Loading SS holds the single step back for one instruction: the INT3 behind must exist.
    const loadsStack = row.semantics === 'movToSegment' || row.operands.some(({ size }) => size === 'SS');
    // So must that which ends a repetition.
    if (loadsStack || this.#variant.repeat) return CODE_BASE + 0x100 + this.#random.below(0xe00);
    if (this.#profile.cs === 0x67 && r < 8) return CODE_BASE + 0x1800 - this.#random.below(length + 2);
    if (r < 5) return CODE_BASE + 4096 - this.#random.below(length);
    if (r < 7) return CODE_BASE + CODE_BYTES - this.#random.below(length);
    if (r < 10) return CODE_BASE + CODE_BYTES - length;
    return CODE_BASE + 0x100 + this.#random.below(0xe00);
  }

  #finishCode(codeLinear: number): Uint8Array {
    const vex = (this.#variant.form.row.map & MAP_VEX) !== 0;
    const rex = vex ? this.#vex() : this.#rexNeeded || this.#rex ? [0x40 | this.#rex] : [];
    const code = [...this.#prefixes, ...rex, ...this.#body];
    if (this.#ripRelative) {
      const at = this.#prefixes.length + rex.length + this.#ripRelative.at;
      const displacement = this.#ripRelative.target - BigInt(codeLinear + code.length);
      for (let i = 0; i < 4; i++) code[at + i] = Number((displacement >> BigInt(i * 8)) & 0xffn);
    }
    return Uint8Array.from(code.slice(0, 15));
  }

  /** The three-byte form; the map has no two-byte one. Outside 64-bit mode W and B mean nothing. */
  #vex(): number[] {
    const { row } = this.#variant.form;
    const free = this.#profile.mode === 64 ? 0 : this.#random.below(16) & 9;
    return vexPrefix(row, this.#rex | free, this.#vvvv);
  }

  #push(value: bigint, bytes: number): void {
    for (let i = 0; i < bytes; i++) this.#body.push(Number((value >> BigInt(i * 8)) & 0xffn));
  }

  // --- ModRM

  #modrm(): void {
    const { form } = this.#variant;
    const { row } = form;
    if (row.modrmByte !== undefined) {
      this.#body.push(row.modrmByte);
      return;
    }
    const reg = row.modrmReg ?? this.#random.below(8);
    const named = row.operands.find(({ letter }) => 'GVSCDP'.includes(letter));
    if (
      this.#profile.mode === 64 &&
      row.modrmReg === undefined &&
      named &&
      'GV'.includes(named.letter) &&
      this.#chance(50)
    ) {
      this.#rex |= 4;
    }
    const spec = rmOperand(row);
    const regField = named?.letter === 'S' ? this.#segmentField(row) : reg;
    if (form.memory) {
      this.#memoryOperand(regField, spec);
      return;
    }
    if (this.#profile.mode === 64 && this.#chance(50)) this.#rex |= 1;
    this.#body.push(0xc0 | (regField << 3) | this.#random.below(8));
  }

  #segmentField(row: Row): number {
    // Mostly registers that exist; MOV CS is #UD.
    const number = this.#chance(92) ? [0, 2, 3, 4, 5][this.#random.below(5)]! : this.#random.below(8);
    return row.semantics === 'movFromSegment' && this.#chance(20) ? 1 : number;
  }

  #segmentBase(index: number): bigint {
    const p = this.#profile;
    if (p.mode === 64 && index < 4) return 0n;
    return BigInt([p.esBase, p.csBase, p.ssBase, p.dsBase, p.fsBase, p.gsBase][index]!);
  }

  /** An effective address for an operand of `bytes` in `segment`, and where it is. */
  #aim(bytes: number, segment: number, addressBits: number): { effective: bigint; linear: bigint } {
    const random = this.#random;
    const base = this.#segmentBase(segment);
    const mask = MASKS[addressBits]!;
    const stack = base === BigInt(STACK_BASE_16);
    const window = BigInt(stack ? STACK_WINDOW : DATA_WINDOW);
    const r = random.below(100);
    let offset: number;
    if (r < 55) offset = random.below(Math.max(1, Math.floor(256 / bytes))) * bytes;
    else if (r < 70) offset = random.below(Math.max(1, 256 - bytes));
    else offset = 128 - random.below(bytes + 1);
    offset = Math.min(offset, Math.max(0, 256 - bytes));
    const reach = (linear: bigint): { effective: bigint; linear: bigint } => {
      const effective = (linear - base) & mask;
      return {
        effective,
        linear:
          (base + effective) & (addressBits === 64 ? mask : MASKS[this.#profile.mode === 64 ? 64 : 32]!),
      };
    };
    if (addressBits === 16) {
      if (r >= 96) return reach(base + BigInt(random.below(65536)));
      if (r >= 92) return reach(base + BigInt(0x10000 - random.below(bytes + 1)));
      if (r >= 88) return reach(base + BigInt(0xa000 - random.below(bytes + 1)));
      return reach(base + BigInt(LOW_WINDOW + offset));
    }
    if (r >= 98) return reach(BigInt(random.next() >>> 0));
    if (r >= 96 && addressBits === 64) return reach(0x0000800000000000n - BigInt(random.below(bytes + 8)));
    if (r >= 94) return reach(BigInt(READ_ONLY_PAGE + 64 + random.below(256)));
    if (r >= 91) return reach(window + 0x1080n - BigInt(random.below(bytes + 1)));
    if (r >= 89) return reach(window - 0xf80n - BigInt(random.below(bytes + 1)));
    return reach(window + BigInt(offset));
  }

  #memoryOperand(regField: number, spec: OperandSpec | undefined): void {
    const random = this.#random;
    const { form } = this.#variant;
    const bytes = operandBytes(form, spec, this.#profile.mode);
    if (form.row.semantics === 'bt' || /^bt[src]$/.test(form.row.semantics)) this.#bitOffset(regField);
    if (this.#addressBits === 16) {
      this.#memory16(regField, bytes);
      return;
    }
    const bits = this.#addressBits;
    const long = this.#profile.mode === 64;
    const kind = random.below(100);
    const reg = regField << 3;
    if (kind < 8) {
      // No base: disp32, RIP-relative in 64-bit mode, or through a SIB byte.
      const aim = this.#aim(bytes, this.#segment ?? 3, bits);
      this.#target = aim.linear;
      if (long && kind < 4) {
        this.#body.push(reg | 5);
        this.#ripRelative = { at: this.#body.length, target: aim.effective };
        this.#push(0n, 4);
      } else if (long || kind < 2) {
        this.#body.push(reg | 4, 0x25);
        this.#push(aim.effective, 4);
        this.#target =
          (this.#segmentBase(this.#segment ?? 3) + BigInt.asUintN(bits, BigInt.asIntN(32, aim.effective))) &
          MASKS[64]!;
      } else {
        this.#body.push(reg | 5);
        this.#push(aim.effective, 4);
      }
      return;
    }
    const registers = long ? 16 : 8;
    const wantsIndex = kind < 45;
    let base = random.below(registers);
    if (!wantsIndex && (base & 7) === RSP && this.#chance(50)) base = RBP;
    let index = wantsIndex ? random.below(registers) : RSP;
    if (wantsIndex && index === RSP) index = RSI;
    if (wantsIndex && index === base) index = base === RDI ? RSI : RDI;
    const noBase = wantsIndex && kind < 14;
    const segment = this.#segment ?? (!noBase && (base === RSP || base === RBP) ? 2 : 3);
    const aim = this.#aim(bytes, segment, bits);
    this.#target = aim.linear;
    let mod = noBase ? 0 : random.below(3);
    if (mod === 0 && (base & 7) === RBP && !noBase) mod = 1;
    const displacement = BigInt(
      mod === 1 ? random.below(256) - 128 : mod === 2 || noBase ? random.next() : 0,
    );
    const scale = wantsIndex ? random.below(4) : 0;
    const rest = aim.effective - displacement;
    if (noBase) {
      // index * scale alone reaches the target up to its low bits; the displacement takes those.
      const indexValue = BigInt.asUintN(bits, rest) >> BigInt(scale);
      this.#setRegister(index, indexValue, bits);
      const missing = BigInt.asUintN(32, aim.effective - (indexValue << BigInt(scale)));
      this.#body.push(reg | 4, (scale << 6) | ((index & 7) << 3) | 5);
      this.#push(missing, 4);
      if (index > 7) this.#rex |= 2;
      const reached = BigInt.asUintN(bits, (indexValue << BigInt(scale)) + BigInt.asIntN(32, missing));
      this.#target = (this.#segmentBase(segment) + reached) & MASKS[64]!;
      return;
    }
    const indexed = wantsIndex ? this.#register(index) << BigInt(scale) : 0n;
    this.#setRegister(base, rest - indexed, bits);
    if (base > 7) this.#rex |= 1;
    if (index > 7) this.#rex |= 2;
    if (wantsIndex || (base & 7) === RSP || this.#chance(5)) {
      this.#body.push((mod << 6) | reg | 4, (scale << 6) | ((index & 7) << 3) | (base & 7));
    } else this.#body.push((mod << 6) | reg | (base & 7));
    if (mod === 1) this.#push(displacement, 1);
    if (mod === 2) this.#push(displacement, 4);
  }

  /** The eight combinations of BX, BP, SI and DI. */
  #memory16(regField: number, bytes: number): void {
    const random = this.#random;
    const rm = random.below(8);
    let mod = random.below(3);
    const usesStackSegment = rm === 2 || rm === 3 || (rm === 6 && mod !== 0);
    const aim = this.#aim(bytes, this.#segment ?? (usesStackSegment ? 2 : 3), 16);
    this.#target = aim.linear;
    if (rm === 6 && mod === 0) {
      this.#body.push((regField << 3) | 6);
      this.#push(aim.effective, 2);
      return;
    }
    mod = rm === 6 && mod === 0 ? 1 : mod;
    const displacement = BigInt(mod === 1 ? random.below(256) - 128 : mod === 2 ? random.below(65536) : 0);
    const [base, index] = (
      [[RBX, RSI], [RBX, RDI], [RBP, RSI], [RBP, RDI], [RSI], [RDI], [RBP], [RBX]] as const
    )[rm]!;
    const indexed = index === undefined ? 0n : this.#register(index);
    this.#setRegister(base, aim.effective - displacement - indexed, 16);
    this.#body.push((mod << 6) | (regField << 3) | rm);
    if (mod === 1) this.#push(displacement, 1);
    if (mod === 2) this.#push(displacement, 2);
  }

  /** BT with a register operand reaches memory far from its operand: keep most of them near. */
  #bitOffset(regField: number): void {
    if (!this.#variant.form.row.operands.some(({ letter }) => letter === 'G')) return;
    if (this.#chance(12)) return;
    const register = regField | (this.#rex & 4 ? 8 : 0);
    if (register === RSP) return;
    const bits = this.#variant.form.operandBits;
    this.#setRegister(register, BigInt(this.#random.below(1024) - 512), bits);
  }

  // --- immediates

  #immediate({ letter, size }: OperandSpec): void {
    const { form } = this.#variant;
    const { operandBits } = form;
    const random = this.#random;
    if (letter === 'I') {
      const bytes = immediateBytes(size, operandBits);
      this.#push(this.#immediateValue(bytes), bytes);
    } else if (letter === 'J') {
      const bytes = size === 'b' ? 1 : Math.min(operandBits, 32) / 8;
      const value = this.#chance(60) ? BigInt(random.below(400) - 200) : BigInt(random.next());
      this.#push(value, bytes);
    } else if (letter === 'A') {
      const offset = this.#chance(80) ? BigInt(random.below(CODE_BYTES)) : BigInt(random.next());
      const selector = random.pick(CODE_SELECTORS);
      const flat = [0x23, 0x33, 0x37, 0x47].includes(selector) && this.#chance(70) ? BigInt(CODE_BASE) : 0n;
      this.#push(offset + flat, Math.min(operandBits, 32) / 8);
      this.#push(BigInt(selector), 2);
    } else if (letter === 'O') {
      const aim = this.#aim(size === 'b' ? 1 : operandBits / 8, this.#segment ?? 3, this.#addressBits);
      this.#target = aim.linear;
      this.#push(aim.effective, this.#addressBits / 8);
    }
  }

  #immediateValue(bytes: number): bigint {
    const { semantics } = this.#variant.form.row;
    const random = this.#random;
    if (semantics === 'int') {
      // Not 80h: the kernel's own system call.
      return BigInt(random.pick([0, 1, 2, 3, 3, 3, 4, 4, 5, 13, 14, 0x20, 0x7f, 0x81, 0xff]));
    }
    if (semantics === 'enter' && bytes === 1)
      return BigInt(this.#chance(80) ? random.below(5) : random.below(64));
    if (semantics === 'enter') return BigInt(this.#chance(80) ? random.below(96) : random.below(65536));
    if ((semantics === 'ret' || semantics === 'retFar') && this.#chance(70)) return BigInt(random.below(64));
    if (/^(sh|sa|ro|rc|bt)/.test(semantics) && this.#chance(70)) return BigInt(random.below(66));
    if (semantics === 'aam' && this.#chance(60)) return 10n;
    const r = random.below(8);
    const value = BigInt(random.next());
    if (r === 0) return 0n;
    if (r === 1) return MASKS[64]!;
    if (r === 2) return 1n << BigInt(bytes * 8 - 1);
    if (r === 3) return (1n << BigInt(bytes * 8 - 1)) - 1n;
    if (r === 4) return value & 0xffn;
    return bytes === 8 ? (value << 32n) ^ BigInt(random.next()) : value;
  }

  // --- what instructions need beyond their operands

  /** Registers that matter before the memory operand is aimed (its base may override them). */
  #before(): void {
    const { row, operandBits } = this.#variant.form;
    const random = this.#random;
    const { semantics } = row;
    const bits = operandBits || 8;
    if (row.operands.some(({ size }) => size === 'CL') && this.#chance(70))
      this.#setRegister(RCX, BigInt(random.below(70)), 16);
    if (semantics === 'div' || semantics === 'idiv')
      this.#dividend(semantics === 'idiv', row.operands[0]?.size === 'b' ? 8 : bits);
    if (semantics.startsWith('loop') || semantics === 'jcxz') {
      if (this.#chance(60)) this.#setRegister(RCX, BigInt(random.below(3)), this.#addressBits);
    }
    if (['bextr', 'bzhi', 'shlx', 'sarx', 'shrx'].includes(semantics) && this.#vvvv !== RSP) {
      const control = random.below(80) | (random.below(80) << 8);
      if (this.#chance(75)) this.#setRegister(this.#vvvv, BigInt(control), 16);
    }
    if (isString(semantics)) this.#string();
    if (semantics === 'xlat') {
      const aim = this.#aim(1, this.#segment ?? 3, this.#addressBits);
      this.#setRegister(RBX, aim.effective - (this.#register(RAX) & 0xffn), this.#addressBits);
    }
    if (usesStack(row)) this.#stack();
    if (semantics === 'movToSegment' && !this.#variant.form.memory && this.#chance(95)) {
      for (let i = 0; i < (this.#profile.mode === 64 ? 16 : 8); i++) {
        if (i !== RSP) this.#setRegister(i, BigInt(random.pick(DATA_SELECTORS)), 16);
      }
    }
    if (
      ['lar', 'lsl', 'verr', 'verw', 'arpl'].includes(semantics) &&
      !this.#variant.form.memory &&
      this.#chance(95)
    ) {
      for (let i = 0; i < (this.#profile.mode === 64 ? 16 : 8); i++) {
        if (i !== RSP) this.#setRegister(i, BigInt(random.pick([...DATA_SELECTORS, ...CODE_SELECTORS])), 16);
      }
    }
    if (['jmpTo', 'callTo'].includes(semantics) && !this.#variant.form.memory && this.#chance(70)) {
      for (let i = 0; i < (this.#profile.mode === 64 ? 16 : 8); i++)
        if (i !== RSP) this.#setRegister(i, this.#codeTarget(), 64);
    }
    if (/^wr[fg]sbase$/.test(semantics) && this.#chance(60)) {
      for (let i = 0; i < 16; i++)
        if (i !== RSP) this.#setRegister(i, this.#register(i) & 0x7fffffffffffn, 64);
    }
  }

  #codeTarget(): bigint {
    const r = this.#random.below(4);
    const inCode = BigInt(CODE_BASE + this.#random.below(CODE_BYTES)) - BigInt(this.#profile.csBase);
    if (this.#profile.mode !== 64) return r === 0 ? BigInt(this.#random.next() >>> 0) : inCode;
    return r === 0 ? (BigInt(this.#random.next() >>> 0) << 15n) & 0x7fffffffffffn : inCode;
  }

  #dividend(signed: boolean, bits: number): void {
    if (this.#chance(15)) return;
    const random = this.#random;
    if (bits === 8) {
      const high = signed
        ? this.#register(RAX) & 0x80n
          ? 0xffn
          : 0n
        : BigInt(random.below(this.#chance(50) ? 1 : 24));
      this.#setRegister(RAX, (high << 8n) | (this.#register(RAX) & 0xffn), 16);
      return;
    }
    const negative = (this.#register(RAX) >> BigInt(bits - 1)) & 1n;
    if (signed)
      this.#setRegister(
        RDX,
        (negative ? -1n : 0n) + BigInt(this.#chance(70) ? 0 : random.below(9) - 4),
        bits,
      );
    else this.#setRegister(RDX, BigInt(this.#chance(50) ? 0 : random.below(256)), bits);
  }

  #string(): void {
    const { row, operandBits } = this.#variant.form;
    const bytes = row.operands[0]?.size === 'b' ? 1 : operandBits / 8;
    const bits = this.#addressBits;
    const from = this.#aim(bytes, this.#segment ?? 3, bits);
    const to = this.#aim(bytes, 0, bits);
    this.#setRegister(RSI, from.effective, bits);
    const overlap = row.semantics === 'movs' && this.#chance(30);
    const near =
      from.linear +
      BigInt((this.#random.below(9) - 4) * (this.#chance(50) ? bytes : 1)) -
      this.#segmentBase(0);
    this.#setRegister(RDI, overlap ? near : to.effective, bits);
    if (overlap && bits < this.#profile.mode) {
      // Zen 5 looks for the overlap in the whole registers, whatever the address size: the bits above must not hide it.
      this.#setRegister(RSI, BigInt.asUintN(bits, this.#register(RSI)), this.#profile.mode);
      this.#setRegister(RDI, BigInt.asUintN(bits, this.#register(RDI)), this.#profile.mode);
    }
    if (this.#variant.repeat) {
      const count = this.#chance(88) ? this.#random.below(12) : this.#random.below(80);
      this.#setRegister(RCX, BigInt(count), bits);
      if ((row.semantics === 'cmps' || row.semantics === 'scas') && this.#chance(60)) {
        // Runs of equal elements, so that the repetition does not end at once.
        const fill = new Uint8Array(24 * bytes).fill(Number(this.#register(RAX) & 0xffn));
        const step = this.#state.view.getUint32(STATE.eflags, true) & FLAG_DF ? BigInt(23 * bytes) : 0n;
        this.#setMemory(BigInt.asUintN(32, to.linear - step), fill);
        if (row.semantics === 'cmps') this.#setMemory(BigInt.asUintN(32, from.linear - step), fill);
        if (row.semantics === 'scas')
          this.#setRegister(
            RAX,
            (this.#register(RAX) & 0xffn) * 0x0101010101010101n,
            this.#profile.mode === 64 ? 64 : 32,
          );
      }
    }
  }

  #stack(): void {
    const { row } = this.#variant.form;
    const random = this.#random;
    const bits = this.#profile.stack;
    const base = BigInt(this.#profile.ssBase);
    if (row.semantics === 'leave' || row.semantics === 'enter') {
      const at = BigInt(STACK_WINDOW + 64 + random.below(160)) - base;
      this.#setRegister(RBP, this.#chance(80) ? at & ~7n : at, bits);
    }
    const r = random.below(100);
    if (r < 3) this.#setRegister(RSP, BigInt(STACK_WINDOW + 0x1080 - random.below(12)) - base, bits);
    else if (r < 6) this.#setRegister(RSP, BigInt(STACK_WINDOW - 0xf80 + random.below(12)) - base, bits);
    else if (r < 11) this.#setRegister(RSP, BigInt(STACK_WINDOW + 128 + random.below(17) - 8) - base, bits);
    else if (r < 13 && bits === 64)
      this.#setRegister(RSP, 0x0000800000000000n + BigInt(random.below(20) - 10), 64);
    else if (r < 13) this.#setRegister(RSP, BigInt(random.below(5)), bits);
    this.#stackImage();
  }

  /** Linear address of the top of the stack. */
  #stackTop(): bigint {
    return BigInt(this.#profile.ssBase) + (this.#register(RSP) & MASKS[this.#profile.stack]!);
  }

  #stackImage(): void {
    const { row, operandBits } = this.#variant.form;
    const random = this.#random;
    const bytes = operandBits / 8;
    const top = this.#stackTop();
    const popsSegment = row.semantics === 'pop' && row.operands[0]?.letter === 'fixed';
    if (popsSegment && this.#chance(90)) this.#setMemoryValue(top, BigInt(random.pick(DATA_SELECTORS)), 2);
    if (row.semantics === 'popf') {
      // TF is what the recorder steps with.
      this.#setMemoryValue(top, BigInt(random.next() & ~0x100), Math.min(bytes, 4));
    }
    if (row.semantics === 'ret' && this.#chance(70)) this.#setMemoryValue(top, this.#codeTarget(), bytes);
    if (row.semantics === 'retFar' || row.semantics === 'iret') {
      const selector = random.pick(CODE_SELECTORS);
      const flat = [0x23, 0x33, 0x37, 0x47].includes(selector);
      const offset = BigInt(random.below(CODE_BYTES) + (flat && bytes > 2 ? CODE_BASE : 0));
      this.#setMemoryValue(top, this.#chance(92) ? offset : this.#codeTarget(), bytes);
      this.#setMemoryValue(top + BigInt(bytes), BigInt(selector), bytes);
      if (row.semantics === 'iret') {
        this.#setMemoryValue(top + BigInt(bytes * 2), BigInt(random.next() & ~0x24100), bytes);
        const stack = BigInt(STACK_WINDOW + random.below(256)) - (bytes === 2 ? BigInt(STACK_BASE_16) : 0n);
        this.#setMemoryValue(top + BigInt(bytes * 3), stack, bytes);
        this.#setMemoryValue(
          top + BigInt(bytes * 4),
          BigInt(this.#chance(60) ? 0x2b : random.pick(DATA_SELECTORS)),
          bytes,
        );
      }
    }
  }

  /** Contents of the memory operand that random bytes would rarely hit. */
  #after(): void {
    const { row, operandBits, memory } = this.#variant.form;
    const random = this.#random;
    const { semantics } = row;
    const target = this.#target === undefined ? undefined : BigInt.asUintN(32, this.#target);
    if (semantics === 'cmpxchg' && this.#chance(50)) this.#equalCompare();
    if (!memory || target === undefined) return;
    const bytes = operandBits / 8;
    if (semantics === 'cmpxchg8b' && this.#chance(50)) {
      const half = operandBits === 64 ? 8 : 4;
      this.#setMemoryValue(target, this.#register(RAX), half);
      this.#setMemoryValue(target + BigInt(half), this.#register(RDX), half);
    }
    if (['movToSegment', 'lar', 'lsl', 'verr', 'verw', 'arpl'].includes(semantics) && this.#chance(95)) {
      this.#setMemoryValue(
        target,
        BigInt(
          random.pick(semantics === 'movToSegment' ? DATA_SELECTORS : [...DATA_SELECTORS, ...CODE_SELECTORS]),
        ),
        2,
      );
    }
    if (['jmpTo', 'callTo'].includes(semantics) && this.#chance(75))
      this.#setMemoryValue(target, this.#codeTarget(), bytes);
    if (semantics === 'jmpFarTo' || semantics === 'callFarTo' || semantics === 'loadFar') {
      const code = semantics !== 'loadFar';
      const selector = random.pick(code ? CODE_SELECTORS : DATA_SELECTORS);
      const offset =
        random.below(CODE_BYTES) + ([0x23, 0x33, 0x37, 0x47].includes(selector) && bytes > 2 ? CODE_BASE : 0);
      // AMD has no 64-bit offsets here (APM vol. 3, JMP far): both places get the selector.
      if (code && this.#chance(90)) this.#setMemoryValue(target, BigInt(offset), bytes);
      this.#setMemoryValue(target + BigInt(Math.min(bytes, 4)), BigInt(selector), 2);
      if (bytes === 8) this.#setMemoryValue(target + 8n, BigInt(selector), 2);
    }
    if (semantics === 'bound' && this.#chance(70)) this.#bounds(target, bytes);
    if (semantics === 'ldmxcsr' && this.#chance(80))
      this.#setMemoryValue(target, BigInt(random.next() & 0xffff), 4);
    if (semantics === 'fxrstor') {
      if (this.#chance(85)) this.#setMemoryValue(target + 24n, BigInt(random.next() & 0xffff), 4);
    }
  }

  #bounds(target: bigint, bytes: number): void {
    const middle = BigInt(this.#random.next());
    this.#setMemoryValue(target, middle - BigInt(this.#random.below(5)), bytes);
    this.#setMemoryValue(target + BigInt(bytes), middle + BigInt(this.#random.below(5)), bytes);
    for (let i = 0; i < 8; i++) {
      if (i !== RSP && !this.#registers.has(i))
        this.#setRegister(i, middle + BigInt(this.#random.below(13) - 6), bytes * 8);
    }
  }

  #equalCompare(): void {
    const { row, operandBits, memory } = this.#variant.form;
    const bytes = row.operands[0]?.size === 'b' ? 1 : operandBits / 8;
    if (memory) {
      if (this.#target !== undefined)
        this.#setMemoryValue(BigInt.asUintN(32, this.#target), this.#register(RAX), bytes);
      return;
    }
    const rm = (this.#body.at(-1) ?? 0) & 7;
    const register = rm | (this.#rex & 1 ? 8 : 0);
    if (register === RSP) return;
    if (bytes > 1) this.#setRegister(register, this.#register(RAX), bytes * 8);
    else if (this.#registers.get(RAX) === undefined) {
      // AL equal to every byte register.
      const value = (this.#register(register) & 0xffn) * 0x0101n;
      this.#setRegister(register, value, 16);
      this.#setRegister(RAX, value, 16);
    }
  }
}

const STRINGS = ['movs', 'cmps', 'stos', 'lods', 'scas', 'ins', 'outs'];

export function isString(semantics: string): boolean {
  return STRINGS.includes(semantics);
}

/** Has operands of the operand size, so that 66h matters. */
export function hasSize(row: Row): boolean {
  return (
    row.attributes.has('os') ||
    row.operands.some(({ size }) => ['v', 'z', 'p', 'bs', 'rAX', 'eAX'].includes(size))
  );
}

function sizedByPrefix(row: Row): boolean {
  return row.prefix !== 0 || row.semantics === 'nop';
}

function usesAddressSize(row: Row): boolean {
  return (
    isString(row.semantics) ||
    row.semantics === 'xlat' ||
    row.semantics === 'jcxz' ||
    row.semantics.startsWith('loop')
  );
}

const STACK_USERS = new Set([
  'push',
  'pop',
  'pusha',
  'popa',
  'pushf',
  'popf',
  'call',
  'callTo',
  'callFar',
  'callFarTo',
  'ret',
  'retFar',
  'iret',
  'enter',
  'leave',
]);

export function usesStack(row: Row): boolean {
  return STACK_USERS.has(row.semantics);
}

export function immediateBytes(size: string, operandBits: number): number {
  if (size === 'b' || size === 'bs') return 1;
  if (size === 'w') return 2;
  return (size === 'v' ? operandBits : Math.min(operandBits, 32)) / 8;
}

/** The three-byte VEX prefix; `rex` and `vvvv` are not inverted. */
export function vexPrefix(row: Row, rex: number, vvvv: number): number[] {
  const prefix = [PREFIX_66, PREFIX_F3, PREFIX_F2].indexOf(row.prefix) + 1;
  return [
    0xc4,
    ((~rex << 5) & 0xe0) | (row.map & ~MAP_VEX),
    ((rex & 8) << 4) | ((~vvvv << 3) & 0x78) | prefix,
  ];
}

/** Bytes of the memory operand. */
export function operandBytes(form: Form, spec: OperandSpec | undefined, mode: number): number {
  const bits = form.operandBits;
  const { semantics } = form.row;
  if (semantics === 'fxsave' || semantics === 'fxrstor') return 16;
  if (semantics === 'bound') return bits / 4;
  if (semantics === 'cmpxchg8b') return bits === 64 ? 16 : 8;
  switch (spec?.size) {
    case 'b':
      return 1;
    case 'w':
      return 2;
    case 'd':
      return 4;
    case 'q':
      return 8;
    case 'x':
      return 16;
    case 's':
      return mode === 64 ? 10 : 6;
    case 'p':
      return bits / 8 + 2;
    case 'y':
      return bits === 64 ? 8 : 4;
    case 'z':
      return Math.min(bits, 32) / 8;
    default:
      return Math.max(bits / 8, 1);
  }
}
