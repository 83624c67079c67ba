import type { Builder } from '../ir/builder.ts';
import type { RegisterFile, RegisterRef, Value } from '../ir/ir.ts';
import type { Form } from '../isa/forms.ts';
import type { Site } from '../isa/operands.ts';
import { VCPU } from '../layout/vcpu.ts';

/** In the interpreter every property of the instruction is a field of its decoded record. */
export class RecordSite implements Site {
  readonly form: Form;

  constructor(form: Form) {
    this.form = form;
  }

  register(field: 'reg' | 'rm' | 'vvvv', file: RegisterFile): RegisterRef {
    return { file, where: field };
  }
  registerNumber(s: Builder): Value {
    return s.field('register', 'i32');
  }
  immediate(s: Builder): Value {
    return s.field('immediate', 'i64');
  }
  immediate64(s: Builder): Value {
    return s.field('immediate64', 'i64');
  }
  farOffset(s: Builder): Value {
    return s.field('displacement', 'i64');
  }
  effectiveAddress(s: Builder): Value {
    return s.field('effectiveAddress', 'i64');
  }
  segment(s: Builder): Value {
    return s.field('segment', 'i32');
  }
  addressSize(s: Builder): Value {
    return s.field('addressSize', 'i32');
  }
  addressMask(s: Builder): Value {
    return s.readStateAt('i64.load', VCPU.at.addressMask, this.addressSize(s), 8);
  }
  stackMask(s: Builder): Value {
    return s.readState('i64.load', VCPU.at.stackMask);
  }
}
