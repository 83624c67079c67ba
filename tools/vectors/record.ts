/**
 * Records what the real CPU does with every form of the opcode table: `tsx tools/vectors/record.ts [command] [filter]`.
 *
 *   record   writes test/vectors/*.bin.gz (all, or the files whose groups match the filter)
 *   verify   executes the committed cases on this CPU again and lists every difference
 *   coverage prints the number of cases of each form of the table
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { coverage, coverageReport } from '../../src/interp/vectors-coverage.ts';
import { buildCaseState, decodeFile, encodeFile } from '../../src/interp/vectors-file.ts';
import type { CaseOutcome, Group } from '../../src/interp/vectors-file.ts';
import { CaseState } from '../../src/interp/vectors-state.ts';
import { EXCEPTION_PF } from '../../src/layout/exceptions.ts';
import { buildRecorder, NativeBatch } from './native.ts';
import { plans, recordPlans, withoutTrapFlag } from './plans.ts';
import type { Plan } from './plans.ts';

const FOLDER = fileURLToPath(new URL('../../test/vectors/', import.meta.url));

function record(filter: RegExp): void {
  buildRecorder();
  const state = new CaseState();
  const byFile = new Map<string, Plan[]>();
  for (const plan of plans()) byFile.set(plan.file, [...(byFile.get(plan.file) ?? []), plan]);
  mkdirSync(FOLDER, { recursive: true });
  if (filter.source === '.*') for (const old of vectorFiles()) rmSync(FOLDER + old);
  let total = 0;
  for (const [file, list] of byFile) {
    if (!list.some(({ id }) => filter.test(id))) continue;
    const groups = recordPlans(list, state);
    total += groups.reduce((n, g) => n + g.cases.length, 0);
    const bytes = encodeFile(groups, state);
    const packed = gzipSync(bytes, { level: 9 });
    writeFileSync(FOLDER + file, packed);
    console.log(`${file}: ${groups.length} groups, ${bytes.length} bytes, ${packed.length} packed`);
  }
  console.log(`${total} cases`);
}

function vectorFiles(): string[] {
  return readdirSync(FOLDER).filter((name) => name.endsWith('.bin.gz'));
}

function* committedGroups(state: CaseState): Generator<Group> {
  for (const file of vectorFiles()) yield* decodeFile(gunzipSync(readFileSync(FOLDER + file)), state);
}

/** Executes the committed cases again: proves the recorder, the format and that the results are the CPU's own. */
function verify(filter: RegExp): void {
  buildRecorder();
  const state = new CaseState();
  let total = 0;
  let different = 0;
  const all = new Map(plans().map((p) => [p.id, p]));
  for (const group of [...committedGroups(state)].filter((g) => filter.test(g.id))) {
    const batch = new NativeBatch();
    for (const c of group.cases) {
      buildCaseState(state, group, c.index, c.input);
      batch.add(state);
    }
    batch.run((i, raw) => {
      const c = group.cases[i]!;
      const plan = all.get(group.id);
      const outcome = plan ? withoutTrapFlag(plan, state, raw) : raw;
      total++;
      const now = comparable(outcome);
      const then = comparable(c.outcome);
      if (now === then) return;
      different++;
      console.log(
        `${group.id} case ${c.index} code ${Buffer.from(c.input.code).toString('hex')}\n  then ${then}\n  now  ${now}`,
      );
    }, state);
  }
  console.log(`${total} cases executed again, ${different} differ`);
  process.exitCode = different ? 1 : 0;
}

function comparable(outcome: CaseOutcome): string {
  const { cr2, error, ...rest } = outcome;
  const kept = {
    ...rest,
    error: outcome.vector >= 0 ? error : 0,
    cr2: outcome.vector === EXCEPTION_PF ? cr2 : 0n,
  };
  return JSON.stringify(
    kept,
    (_, value: unknown) =>
      typeof value === 'bigint'
        ? value.toString(16)
        : value instanceof Uint8Array
          ? Buffer.from(value).toString('hex')
          : value,
    0,
  );
}

const [command = 'record', filterText = '.*'] = process.argv.slice(2);
const filter = new RegExp(filterText);
if (command === 'record') record(filter);
else if (command === 'verify') verify(filter);
else if (command === 'coverage') console.log(coverageReport(coverage(committedGroups(new CaseState()))));
else {
  console.error(`record.ts: unknown command '${command}' (record, verify, coverage)`);
  process.exitCode = 2;
}
