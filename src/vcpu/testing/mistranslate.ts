/** Translations with a mistake, for tests of what finds one (`-jit verify`). */
import type { Statement, Value } from '../../ir/ir.ts';
import type { Form } from '../../isa/forms.ts';
import type { PlannedBlock } from '../../jit/plan.ts';
import { regionOf, type FormRegion } from '../../jit/translate.ts';

const RAX = 0;

/** Writes one less into RAX. */
function spoil(statement: Statement): Statement {
  if (statement.kind !== 'writeRegister' || statement.register.where !== RAX * 8) return statement;
  const one: Value = { kind: 'const', type: 'i64', value: 1n };
  return { ...statement, value: { kind: 'op', type: 'i64', op: 'i64.sub', args: [statement.value, one] } };
}

/** Where instructions of `isMeant` write RAX they write one less. */
export function mistranslate(isMeant: (form: Form) => boolean = () => true): FormRegion {
  const spoilBlock = (block: PlannedBlock): PlannedBlock => ({
    ...block,
    bodies: block.bodies.map((body, i) => (isMeant(block.instructions[i]!.form) ? body.map(spoil) : body)),
  });
  return (decoder, request) => {
    const region = regionOf(decoder, request);
    const traces = region.plan.traces.map((trace) => ({ ...trace, blocks: trace.blocks.map(spoilBlock) }));
    return { ...region, plan: { ...region.plan, traces } };
  };
}
