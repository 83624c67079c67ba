import { expect, it } from 'vitest';
import { DEFAULT_FEATURES } from '../base/cpu-features.ts';
import { Decoder } from '../isa/decoder.ts';
import { translatePages } from '../jit/translate.ts';
import { PAGE_SIZE } from '../layout/map.ts';
import { MODE_CODE64, MODE_FLAT } from '../layout/vcpu.ts';
import { WarmUp } from './warm-up.ts';

it.each([
  ['an endless loop', 'ebfe'],
  // 1: rep movsb; push rax; call 1b
  ['string instructions and calls', 'f3a4 50 e8f8ffffff'],
  // 1: fsin; paddq xmm0, [rbx]; cpuid; div ecx; jb 1b
  ['what calls the core', 'd9fe 660fd403 0fa2 f7f1 72f4'],
  // 1: lock xadd [rbx], rax; jmp 1b
  ['atomic accesses', 'f0480fc103 ebf9'],
])('calls a region with %s, and comes back', (_name, code) => {
  const bytes = new Uint8Array(PAGE_SIZE);
  bytes.set(Buffer.from(code.replaceAll(' ', ''), 'hex'));
  const request = { address: 0, bytes, mode: MODE_CODE64 | MODE_FLAT, leaders: [0], wanted: [] };
  const translation = translatePages(new Decoder(DEFAULT_FEATURES), [request]);
  const module = new WebAssembly.Module(translation.bytes!);
  const warmUp = new WarmUp();
  expect(() => {
    warmUp.call(module);
    warmUp.call(module);
  }).not.toThrow();
});
