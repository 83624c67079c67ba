/**
 * String instructions (APM vol. 1, 3.3.11): a single one is described here; with REP all of it is the core's
 * (`wasm/strings.ts`), and so are INS and OUTS.
 */
import type { Builder } from '../../ir/builder.ts';
import type { Value } from '../../ir/ir.ts';
import { FLAG_DF } from '../../layout/registers.ts';
import { REG_RAX, REG_RDI, REG_RSI, SEG_ES, SEGMENT_READ, SEGMENT_WRITE, VCPU } from '../../layout/vcpu.ts';
import {
  general,
  MemoryOperand,
  RegisterOperand,
  setAddressRegister,
  sizeBits,
  type Site,
} from '../operands.ts';
import { compare, type Description, type Descriptions } from './common.ts';

function elementBits(site: Site): number {
  return sizeBits(site.form.row.operands[0]!.size, site.form.operandBits);
}

function bytesOf(s: Builder, site: Site): Value {
  return s.i32(elementBits(site) / 8);
}

function repeatOf(s: Builder, site: Site): Value {
  return s.narrow(site.immediate(s));
}

/** By what the index registers move: up, or down if DF is set. */
function step(s: Builder, bits: number): Value {
  const bytes = bits / 8;
  const eflags = s.readState('i32.load', VCPU.at.eflags);
  const towardsTwice = Math.log2(FLAG_DF) - Math.log2(2 * bytes);
  const twice = s.op('i32.and', s.op('i32.shr_u', eflags, s.i32(towardsTwice)), s.i32(2 * bytes));
  return s.let(s.sub(s.i64(bytes), s.widen(twice)));
}

/** The element that RSI or RDI points at; `move` takes the register to the next one. */
class Element {
  readonly memory: MemoryOperand;
  readonly #s: Builder;
  readonly #site: Site;
  readonly #register: number;

  constructor(s: Builder, site: Site, register: number) {
    this.#s = s;
    this.#site = site;
    this.#register = register;
    const address = s.let(s.and(s.readRegister(general(register), 8, false), site.addressMask(s)));
    // Only the source's segment can be overridden.
    const segment = register === REG_RDI ? s.i32(SEG_ES) : site.segment(s);
    this.memory = new MemoryOperand(s, site, elementBits(site), address, segment);
  }

  move(by: Value): void {
    const s = this.#s;
    setAddressRegister(s, this.#site, this.#register, s.let(s.add(this.memory.effectiveAddress, by)));
  }
}

/** The instruction without REP, and the core's function for it with its further arguments otherwise. */
function string(
  name: string,
  single: (s: Builder, site: Site, bits: number) => void,
  args: (s: Builder, site: Site) => Value[],
): Description {
  return (s, site) => {
    const repeated = (): void => s.status(name, bytesOf(s, site), ...args(s, site));
    s.if(s.ne(repeatOf(s, site), s.i32(0)), repeated, () => single(s, site, elementBits(site)));
  };
}

/** INS and OUTS. */
function port(name: string): Description {
  return (s, site) => {
    s.status(name, bytesOf(s, site), repeatOf(s, site), site.addressSize(s), site.segment(s));
  };
}

export const STRINGS: Descriptions = {
  movs: string(
    'movs',
    (s, site, bits) => {
      const source = new Element(s, site, REG_RSI);
      const target = new Element(s, site, REG_RDI);
      const bytes = bits / 8;
      // Both segments are checked before either page.
      const from = source.memory.linear(bytes, SEGMENT_READ);
      const to = target.memory.linear(bytes, SEGMENT_WRITE);
      const value = s.load(from, source.memory.segmentValue, bytes);
      s.store(to, target.memory.segmentValue, bytes, value);
      const by = step(s, bits);
      source.move(by);
      target.move(by);
    },
    (s, site) => [site.addressSize(s), site.segment(s)],
  ),
  stos: string(
    'stos',
    (s, site, bits) => {
      const target = new Element(s, site, REG_RDI);
      target.memory.set(new RegisterOperand(s, general(REG_RAX), bits).get());
      target.move(step(s, bits));
    },
    (s, site) => [site.addressSize(s)],
  ),
  lods: string(
    'lods',
    (s, site, bits) => {
      const source = new Element(s, site, REG_RSI);
      new RegisterOperand(s, general(REG_RAX), bits).set(source.memory.get());
      source.move(step(s, bits));
    },
    (s, site) => [site.addressSize(s), site.segment(s)],
  ),
  cmps: string(
    'cmps',
    (s, site, bits) => {
      const source = new Element(s, site, REG_RSI);
      const target = new Element(s, site, REG_RDI);
      const bytes = bits / 8;
      const first = source.memory.linear(bytes, SEGMENT_READ);
      const second = target.memory.linear(bytes, SEGMENT_READ);
      const a = s.load(first, source.memory.segmentValue, bytes, true);
      const b = s.load(second, target.memory.segmentValue, bytes, true);
      compare(s, a, b, bits);
      const by = step(s, bits);
      source.move(by);
      target.move(by);
    },
    (s, site) => [repeatOf(s, site), site.addressSize(s), site.segment(s)],
  ),
  scas: string(
    'scas',
    (s, site, bits) => {
      const target = new Element(s, site, REG_RDI);
      const a = new RegisterOperand(s, general(REG_RAX), bits).getSigned();
      compare(s, a, target.memory.getSigned(), bits);
      target.move(step(s, bits));
    },
    (s, site) => [repeatOf(s, site), site.addressSize(s)],
  ),
  ins: port('ins'),
  outs: port('outs'),
};
