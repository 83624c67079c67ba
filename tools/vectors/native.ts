/** Runs states on the real CPU: builds the recorder, feeds it, reads its reports. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fillPage, PROFILES, STATE, TEST_LDT, TEST_PAGES, WINDOWS } from '../../src/interp/vectors-state.ts';
import type { CaseState } from '../../src/interp/vectors-state.ts';
import type { CaseOutcome } from '../../src/interp/vectors-file.ts';
import { parseResult } from '../../src/interp/vectors-file.ts';

const SOURCE = fileURLToPath(new URL('record.c', import.meta.url));
const BUILD = fileURLToPath(new URL('../../build/vectors/', import.meta.url));
const PROGRAM = `${BUILD}record`;

function modified(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

export function buildRecorder(): void {
  if (modified(PROGRAM) > modified(SOURCE)) return;
  mkdirSync(BUILD, { recursive: true });
  const flags = ['-O2', '-Wall', '-Wextra', '-fno-stack-protector', '-fPIE', '-pie'];
  execFileSync('gcc', [...flags, '-o', PROGRAM, SOURCE], { stdio: 'inherit' });
}

/** `struct setup` and what follows it. */
function setupBytes(): Buffer {
  const parts: Buffer[] = [];
  const words = (...values: number[]): void => {
    const b = Buffer.alloc(values.length * 4);
    values.forEach((v, i) => b.writeUInt32LE(v >>> 0, i * 4));
    parts.push(b);
  };
  words(TEST_PAGES.length, TEST_LDT.length, PROFILES.length, ...WINDOWS);
  for (const page of TEST_PAGES) {
    words(page.address, (page.write ? 1 : 0) | (page.execute ? 2 : 0));
    const contents = new Uint8Array(4096);
    fillPage(page, contents);
    parts.push(Buffer.from(contents));
  }
  TEST_LDT.forEach((d, index) => {
    words(index, d.base, d.limit);
    const bits = [
      d.contents,
      d.readExecOnly ? 1 : 0,
      d.notPresent ? 1 : 0,
      d.is32 ? 1 : 0,
      d.pages ? 1 : 0,
      0,
      0,
      0,
    ];
    parts.push(Buffer.from(bits));
  });
  for (const p of PROFILES) {
    const b = Buffer.alloc(32);
    [p.cs, p.ss, p.ds, p.es, p.fs, p.gs, p.mode === 64 ? 1 : 0].forEach((v, i) => b.writeUInt16LE(v, i * 2));
    b.writeBigUInt64LE(BigInt(p.fsBase), 16);
    b.writeBigUInt64LE(BigInt(p.gsBase), 24);
    parts.push(b);
  }
  return Buffer.concat(parts);
}

const SETUP = setupBytes();

/** A batch of states, executed together. */
export class NativeBatch {
  #states: Buffer[] = [];
  /** The same with what follows each of them. */
  #input: Buffer[] = [];

  get length(): number {
    return this.#states.length;
  }

  /** `longCode`: the code where the state may not have room for it. */
  add(state: CaseState, longCode?: Uint8Array): void {
    const bytes = Buffer.from(state.bytes);
    this.#states.push(bytes);
    this.#input.push(bytes);
    if (longCode !== undefined && longCode.length > STATE.rip - STATE.code)
      this.#input.push(Buffer.from(longCode));
  }

  /** Executes all states and hands each outcome to `each`; the batch is empty afterwards. */
  run(each: (index: number, outcome: CaseOutcome) => void, state: CaseState): void {
    const input = Buffer.concat([SETUP, ...this.#input]);
    const done = spawnSync(PROGRAM, [], { input, maxBuffer: 1 << 30 });
    if (done.status !== 0) {
      const completed = countResults(done.stdout, state);
      throw new Error(
        `recorder: status ${done.status} signal ${done.signal} after about ${completed} cases: ${done.stderr.toString()}`,
      );
    }
    let at = 0;
    this.#states.forEach((bytes, index) => {
      state.bytes.set(bytes);
      const { outcome, end } = parseResult(state, done.stdout, at);
      at = end;
      each(index, outcome);
    });
    this.#states = [];
    this.#input = [];
  }
}

function countResults(output: Buffer, state: CaseState): number {
  let at = 0;
  let count = 0;
  while (at + 588 <= output.length) {
    at = parseResult(state, output, at).end;
    count++;
  }
  return count;
}
