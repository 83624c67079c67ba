/** Generates build/interpreter.wasm from the instruction descriptions. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { generateInterpreter } from '../src/interp/generate.ts';
import { FORMS } from '../src/isa/forms.ts';

const started = performance.now();
const bytes = generateInterpreter();
mkdirSync('build', { recursive: true });
writeFileSync('build/interpreter.wasm', bytes);
const ms = Math.round(performance.now() - started);
console.log(`interpreter.wasm: ${FORMS.length} forms, ${Math.round(bytes.length / 1024)} KiB, ${ms} ms`);
