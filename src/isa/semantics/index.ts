import type { Builder } from '../../ir/builder.ts';
import { operandsOf, type Site } from '../operands.ts';
import type { Descriptions } from './common.ts';
import { CONTROL } from './control.ts';
import { INTEGER } from './integer.ts';
import { SSE } from './sse.ts';
import { STRINGS } from './strings.ts';
import { SYSTEM } from './system.ts';
import { X87 } from './x87.ts';

export const DESCRIPTIONS: Descriptions = { ...INTEGER, ...CONTROL, ...STRINGS, ...SYSTEM, ...SSE, ...X87 };

/** Appends what the site's instruction does to the builder. */
export function describeInstruction(s: Builder, site: Site): void {
  const name = site.form.row.semantics;
  const description = DESCRIPTIONS[name];
  if (!description) throw new Error(`no description for ${name}`);
  description(s, site, ...operandsOf(s, site));
}
