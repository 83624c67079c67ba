import type { Builder } from '../../ir/builder.ts';
import type { Value } from '../../ir/ir.ts';
import { EXCEPTION_GP, EXCEPTION_UD } from '../../layout/exceptions.ts';
import { CR0_TS, CR4_FSGSBASE, CR4_UMIP } from '../../layout/registers.ts';
import { SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, VCPU } from '../../layout/vcpu.ts';
import { MemoryOperand, type Operand, type Site } from '../operands.ts';
import { requireCpl0, type Description, type Descriptions } from './common.ts';

const DF = 0x400;
const CONDITION_Z = 4;

/** A core function without operands that ends the instruction. */
function plain(name: string): Description {
  return (s) => s.status(name);
}

function operandBytes(s: Builder, site: Site): Value {
  return s.i32(site.form.operandBits / 8);
}

/** i32, nonzero in 64-bit code, where the image of a descriptor-table register is 2 + 8 bytes, else 2 + 4. */
function is64(s: Builder): Value {
  return s.op('i32.and', s.readState('i32.load', VCPU.at.mode), s.i32(2));
}

/** SGDT, SIDT, SLDT, STR and SMSW fault outside CPL 0 under CR4.UMIP. */
function checkUmip(s: Builder): void {
  const cr4 = s.readState('i64.load', VCPU.at.cr4);
  const cpl = s.readState('i32.load', VCPU.at.cpl);
  const blocked = s.op('i32.and', s.ne(s.and(cr4, s.i64(CR4_UMIP)), s.i64(0)), s.ne(cpl, s.i32(0)));
  s.if(blocked, () => s.raise(EXCEPTION_GP, s.i32(0)), undefined, false);
}

function storeTable(base: number, limit: number): Description {
  return (s, _site, d) => {
    checkUmip(s);
    const target = d as MemoryOperand;
    target.at(s.i64(0), 16).set(s.readState('i64.load32_u', limit));
    const value = s.readState('i64.load', base);
    s.if(
      is64(s),
      () => target.at(s.i64(2), 64).set(value),
      () => target.at(s.i64(2), 32).set(value),
    );
  };
}

function loadTable(base: number, limit: number): Description {
  return (s, site, d) => {
    requireCpl0(s);
    const source = d as MemoryOperand;
    const newLimit = s.let(source.at(s.i64(0), 16).get());
    const value = s.variable(s.i64(0));
    s.if(
      is64(s),
      () => s.assign(value, source.at(s.i64(2), 64).get()),
      () => {
        const base32 = source.at(s.i64(2), 32).get();
        // A 16-bit operand size loads a 24-bit base, as on the 286.
        s.assign(value, site.form.operandBits === 16 ? s.zeroExtend(base32, 24) : base32);
      },
    );
    const high = s.let(s.shrS(value, s.i64(47)));
    const canonical = s.op('i32.or', s.eqz(high), s.eq(high, s.i64(-1)));
    s.if(s.eqz(canonical), () => s.raise(EXCEPTION_GP, s.i32(0)), undefined, false);
    s.writeState('i64.store', base, value);
    s.writeState('i64.store32', limit, newLimit);
  };
}

function storeSelector(segment: number): Description {
  return (s, _site, d) => {
    checkUmip(s);
    storeWord(s, d, s.readState('i64.load32_u', VCPU.at.segSelector + segment * 4));
  };
}

/** The register form writes the operand size, the memory form always 16 bits. */
function storeWord(s: Builder, d: Operand, value: Value): void {
  if (d instanceof MemoryOperand) d.at(s.i64(0), 16).set(value);
  else d.set(value);
}

function segmentBase(segment: number, write: boolean): Description {
  return (s, _site, d) => {
    const cr4 = s.readState('i64.load', VCPU.at.cr4);
    s.if(s.eqz(s.and(cr4, s.i64(CR4_FSGSBASE))), () => s.raise(EXCEPTION_UD), undefined, false);
    const base = VCPU.at.segBase + segment * 8;
    if (!write) {
      d.set(s.readState('i64.load', base));
      return;
    }
    const value = s.let(d.get());
    const high = s.let(s.shrS(value, s.i64(47)));
    const canonical = s.op('i32.or', s.eqz(high), s.eq(high, s.i64(-1)));
    s.if(s.eqz(canonical), () => s.raise(EXCEPTION_GP, s.i32(0)), undefined, false);
    s.writeState('i64.store', base, value);
    s.writeState('i64.store', VCPU.at.segEffective + segment * 8, value);
  };
}

function input(s: Builder, d: Operand, number: Operand): void {
  d.set(s.call('portIn', 'i64', s.narrow(number.get()), s.i32(d.bits / 8)));
  s.leave();
}

function output(s: Builder, number: Operand, x: Operand): void {
  s.status('portOut', s.narrow(number.get()), s.i32(x.bits / 8), x.get());
  s.leave();
}

/** LAR and LSL set ZF; where the selector is not good, the destination keeps all 64 bits. */
function describe(name: string): Description {
  return (s, _site, d, x) => {
    const value = s.call(name, 'i64', s.narrow(x.get()));
    s.if(s.condition(CONDITION_Z), () => d.set(value));
  };
}

/** LLDT and LTR: privilege comes before the operand. */
function loadSystemSegment(name: string): Description {
  return (s, _site, x) => {
    requireCpl0(s);
    s.status(name, s.narrow(x.get()));
  };
}

/** A whole area of memory that the core reads or writes itself. */
function area(name: string): Description {
  return (s, site, d) => {
    const target = d as MemoryOperand;
    s.status(name, target.linear(1, 0), target.segmentValue, operandBytes(s, site));
  };
}

function directionFlag(set: boolean): Description {
  return (s) => {
    const eflags = s.readState('i32.load', VCPU.at.eflags);
    const value = set ? s.op('i32.or', eflags, s.i32(DF)) : s.op('i32.and', eflags, s.i32(~DF));
    s.writeState('i32.store', VCPU.at.eflags, value);
  };
}

export const SYSTEM: Descriptions = {
  hlt: plain('hlt'),
  cli: plain('cli'),
  sti: plain('sti'),
  cld: directionFlag(false),
  std: directionFlag(true),
  clac: (s) => s.status('writeAc', s.i32(0)),
  stac: (s) => s.status('writeAc', s.i32(1)),
  cpuid: plain('cpuid'),
  rdmsr: plain('rdmsr'),
  wrmsr: plain('wrmsr'),
  rdtsc: plain('rdtsc'),
  rdtscp: plain('rdtscp'),
  rdpmc: plain('rdpmc'),
  xgetbv: plain('xgetbv'),
  xsetbv: plain('xsetbv'),
  swapgs: plain('swapgs'),
  syscall: plain('syscall'),
  sysret: (s, site) => s.status('sysret', operandBytes(s, site)),
  sysenter: plain('sysenter'),
  sysexit: (s, site) => s.status('sysexit', operandBytes(s, site)),
  invd: plain('checkCpl0'),
  wbinvd: plain('checkCpl0'),
  invlpg: (s, _site, d) => {
    requireCpl0(s);
    s.status('invlpg', (d as MemoryOperand).linear(1, 0));
  },
  clts: (s) => {
    requireCpl0(s);
    const cr0 = s.readState('i64.load', VCPU.at.cr0);
    s.status('writeControl', s.i32(0), s.and(cr0, s.i64(~CR0_TS)));
  },
  smsw: (s, _site, d) => {
    checkUmip(s);
    storeWord(s, d, s.readState('i64.load', VCPU.at.cr0));
  },
  // LMSW writes PE, MP, EM and TS; it cannot clear PE.
  lmsw: (s, _site, x) => {
    requireCpl0(s);
    const value = s.and(x.get(), s.i64(15));
    const cr0 = s.and(s.readState('i64.load', VCPU.at.cr0), s.i64(~14n));
    s.status('writeControl', s.i32(0), s.or(cr0, value));
  },
  sgdt: storeTable(VCPU.at.gdtBase, VCPU.at.gdtLimit),
  sidt: storeTable(VCPU.at.idtBase, VCPU.at.idtLimit),
  lgdt: loadTable(VCPU.at.gdtBase, VCPU.at.gdtLimit),
  lidt: loadTable(VCPU.at.idtBase, VCPU.at.idtLimit),
  sldt: storeSelector(SEG_LDTR),
  str: storeSelector(SEG_TR),
  lldt: loadSystemSegment('loadLdt'),
  ltr: loadSystemSegment('loadTask'),
  verr: (s, _site, x) => s.status('verify', s.narrow(x.get()), s.i32(0)),
  verw: (s, _site, x) => s.status('verify', s.narrow(x.get()), s.i32(1)),
  lar: describe('lar'),
  lsl: describe('lsl'),
  movFromControl: (s, site, d) => d.set(s.call('readControl', 'i64', site.registerNumber(s))),
  movToControl: (s, site, _d, x) => s.status('writeControl', site.registerNumber(s), x.get()),
  movFromDebug: (s, site, d) => d.set(s.call('readDebug', 'i64', site.registerNumber(s))),
  movToDebug: (s, site, _d, x) => s.status('writeDebug', site.registerNumber(s), x.get()),
  rdfsbase: segmentBase(SEG_FS, false),
  rdgsbase: segmentBase(SEG_GS, false),
  wrfsbase: segmentBase(SEG_FS, true),
  wrgsbase: segmentBase(SEG_GS, true),

  in: (s, _site, d, x) => input(s, d, x),
  out: (s, _site, x, d) => output(s, x, d),

  clflush: (s, _site, d) => {
    (d as MemoryOperand).get();
  },
  clflushopt: (s, _site, d) => {
    (d as MemoryOperand).get();
  },
  clwb: (s, _site, d) => {
    (d as MemoryOperand).get();
  },
  lfence: () => {},
  mfence: (s) => s.push({ kind: 'fence' }),
  sfence: () => {},

  fxsave: area('fxsave'),
  fxrstor: area('fxrstor'),
  xsave: area('xsave'),
  xrstor: area('xrstor'),
  ldmxcsr: (s, _site, d) => {
    const source = d as MemoryOperand;
    s.status('loadMxcsr', source.linear(4, 0), source.segmentValue);
  },
  stmxcsr: (s, _site, d) => {
    s.status('checkFpu', s.i32(2));
    d.set(s.readState('i64.load32_u', VCPU.at.mxcsr));
  },
  // FWAIT obeys CR0.MP and TS, unlike the instructions themselves, which obey EM and TS.
  fwait: (s) => {
    const cr0 = s.readState('i64.load', VCPU.at.cr0);
    const both = s.and(cr0, s.i64(0xan));
    s.if(s.eq(both, s.i64(0xan)), () => s.raise(7), undefined, false);
    const pending = s.readState('i32.load16_u', VCPU.at.fpuStatus);
    s.if(s.op('i32.and', pending, s.i32(0x80)), () => s.raise(16), undefined, false);
  },
};
