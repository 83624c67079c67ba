import { heatMask } from '../tiering.ts';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DEFAULT_FEATURES } from '../../base/cpu-features.ts';
import type { VerifyFigures } from '../../control/figures.ts';
import { regionOf, type FormRegion } from '../../jit/translate.ts';
import { RAM_BASE } from '../../layout/map.ts';
import { VCPU } from '../../layout/vcpu.ts';
import { InPlaceCompiler, type Compiler } from '../compiler.ts';
import type { HostCalls } from '../link.ts';
import { bareMachine, run, setHandlers, type BareMachine } from '../testing/bare-machine.ts';
import { mistranslate } from '../testing/mistranslate.ts';

const CORE = readFileSync('build/core.wasm');
const INTERPRETER = readFileSync('build/interpreter.wasm');
const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const RSI = 6;
const RDI = 7;

interface Setup {
  readonly form?: FormRegion;
  readonly host?: Partial<HostCalls>;
}

/** Translates what runs often at once. */
function verifying({ form = regionOf, host }: Setup = {}): BareMachine {
  const inPlace = new InPlaceCompiler(DEFAULT_FEATURES, () => 0, { journaled: true, form });
  const compiler: Compiler = {
    capacity: 1,
    patience: 1,
    submit: (job) => inPlace.submit(job),
    take: () => inPlace.take(),
  };
  const environment = { compiler, verify: { form }, ...(host === undefined ? {} : { host }) };
  const machine = bareMachine(CORE, INTERPRETER, true, environment);
  machine.views.u32[(machine.vcpu.cpu + VCPU.at.heatMask) >>> 2] = heatMask(16);
  return machine;
}

function figures(machine: BareMachine): VerifyFigures {
  return machine.vcpu.figures.verify!;
}

const BROKEN = mistranslate();

/** So often that the loop is translated and verified. Gives the report, or how the last run ended. */
function runOften(machine: BareMachine, code: string, registers: Record<number, bigint>): string {
  let how = '';
  for (let i = 0; i < 20; i++) {
    const end = run(machine, { code, registers });
    if (end.kind === 'disagreement') return end.report;
    how = end.kind;
  }
  return how;
}

describe('verify', () => {
  it('runs what is translated twice, and the guest sees one run', () => {
    const machine = verifying();
    // 1: mov [rbx + rcx*8], rcx; add rax, [rbx + rcx*8]; inc dword [rbx]; dec ecx; jnz 1b; out 80h, al
    const code = '48890ccb 480304cb ff03 ffc9 75f2 e680';
    expect(runOften(machine, code, { [RAX]: 0n, [RBX]: 0x20000n, [RCX]: 1000n })).toBe('asked');
    expect(machine.register(RAX)).toBe(500_500n);
    expect(machine.views.u32[(RAM_BASE + 0x20000) >>> 2]).toBe(20_000);
    expect(machine.views.u32[(RAM_BASE + 0x20000 + 8000) >>> 2]).toBe(1000);
    expect(figures(machine).instructions).toBeGreaterThan(50_000);
  });

  it('reports what differs, the guest code that ran, its IR and its WebAssembly', () => {
    const machine = verifying({ form: BROKEN });
    // 1: mov [rbx], eax; add eax, 5; dec ecx; jnz 1b; out 80h, al
    const code = '8903 83c005 ffc9 75f7 e680';
    const registers = { [RAX]: 0n, [RBX]: 0x20000n, [RCX]: 3000n };
    const [head, wasm] = runOften(machine, code, registers).split('WebAssembly of the region\n');
    expect(head!.split('\n').filter((line) => !line.startsWith('        '))).toEqual([
      'Translated code and the interpreter disagree.',
      '',
      'Region: 64-bit code (mode 6h), physical page 10000h, entered at 10000h; 4 instructions.',
      '',
      'What differs  translated        interpreted',
      'rax           00000000000009c8  00000000000009c9',
      '',
      'Registers before',
      'rax 00000000000009c4  rcx 00000000000009c4  rdx 0000000000000000  rbx 0000000000020000',
      'rsp 0000000000008000  rbp 0000000000000000  rsi 0000000000000000  rdi 0000000000000000',
      'r8  0000000000000000  r9  0000000000000000  r10 0000000000000000  r11 0000000000000000',
      'r12 0000000000000000  r13 0000000000000000  r14 0000000000000000  r15 0000000000000000',
      '',
      'Guest code in the order in which it ran, with its IR',
      '0000000000010000  89 03                           mov ds:[rbx], eax',
      '0000000000010002  83 c0 05                        add eax, 5h',
      '0000000000010005  ff c9                           dec ecx',
      '0000000000010007  75 f7                           jne 10000h',
      '',
      '',
    ]);
    expect(head).toMatch(/^ {8}rax\.4 = i64\.sub\(i64\.add\(/m);
    expect(wasm).toContain('call core.storeSlow');
    // add eax, 5 with the mistake.
    expect(wasm!.replace(/\s+/g, ' ')).toContain('i64.const 5 i64.add i64.const 1 i64.sub');
  });

  it('runs regions one after the other, and names the one among them that is wrong', () => {
    const machine = verifying({ form: BROKEN });
    // 11000: add eax, 3; ret
    machine.views.u8.set([0x83, 0xc0, 3, 0xc3], RAM_BASE + 0x11000);
    // 12000: inc ebx; ret
    machine.views.u8.set([0xff, 0xc3, 0xc3], RAM_BASE + 0x12000);
    // 1: call 12000; call 11000; dec ecx; jnz 1b; out 80h, al
    const code = 'e8fb1f0000 e8f60f0000 ffc9 75f2 e680';
    const report = runOften(machine, code, { [RAX]: 0n, [RBX]: 0n, [RCX]: 2000n });
    expect(report).toContain('physical page 11000h, entered at 11000h; 2 instructions.');
    expect(Number(machine.register(RBX))).toBeGreaterThan(0);
  });

  it('takes back what x87 instructions store', () => {
    const machine = verifying();
    // CR0.MP, NE; CR4.OSFXSR
    machine.views.data.setBigUint64(machine.vcpu.cpu + VCPU.at.cr0, 0x80000033n, true);
    machine.vcpu.core.updateMode(machine.vcpu.cpu);
    // fninit; 1: fld1; fadd qword [rbx + rcx*8]; fstp qword [rbx + rcx*8]; dec ecx; jnz 1b; out 80h, al
    const code = 'dbe3 d9e8 dc04cb dd1ccb ffc9 75f4 e680';
    expect(runOften(machine, code, { [RBX]: 0x20000n, [RCX]: 400n })).toBe('asked');
    expect(machine.views.data.getFloat64(RAM_BASE + 0x20000 + 8 * 7, true)).toBe(20);
    expect(figures(machine).instructions).toBeGreaterThan(10_000);
  });

  it('compares several regions in one run', () => {
    const machine = verifying();
    machine.views.u8.set([0x83, 0xc0, 3, 0xc3], RAM_BASE + 0x11000);
    // 1: call 11000; dec ecx; jnz 1b; out 80h, al
    expect(runOften(machine, 'e8fb0f0000 ffc9 75f7 e680', { [RAX]: 0n, [RCX]: 2000n })).toBe('asked');
    const { runs, instructions } = figures(machine);
    expect(instructions / runs).toBeGreaterThan(500);
  });

  it('stops in front of the region that is wrong', () => {
    const machine = verifying({ form: BROKEN });
    // 1: add rax, 1; mov [rbx], rax; cmp rax, rcx; jb 1b; out 80h, al
    runOften(machine, '4883c001 488903 4839c8 72f4 e680', { [RAX]: 0n, [RBX]: 0x20000n, [RCX]: 5000n });
    expect(machine.views.data.getBigUint64(RAM_BASE + 0x20000, true)).toBe(machine.register(RAX));
    expect(machine.register(RAX)).toBeGreaterThan(0n);
    expect(machine.views.data.getBigUint64(machine.vcpu.cpu + VCPU.at.rip, true)).toBe(0x10000n);
  });

  it('reports a store of a wrong value by its address', () => {
    const machine = verifying({ form: BROKEN });
    // 1: lea eax, [rcx + 1]; mov [rbx], eax; xor eax, eax; dec ecx; jnz 1b; out 80h, al
    const code = '8d4101 8903 31c0 ffc9 75f5 e680';
    expect(runOften(machine, code, { [RBX]: 0x20000n, [RCX]: 3000n })).toMatch(
      /^memory 20000h +[0-9a-f]{2} +[0-9a-f]{2}$/m,
    );
  });

  it('asks a device once for what both runs read', () => {
    const reads: number[] = [];
    const machine = verifying({
      host: {
        mmioRead: (cpu, gpa) => {
          machine.views.u32[(cpu + VCPU.at.scratch) >>> 2] = reads.push(gpa);
        },
      },
    });
    // 1: add eax, [rbx]; dec ecx; jnz 1b; out 80h, al
    const code = '0303 ffc9 75fa e680';
    expect(runOften(machine, code, { [RAX]: 0n, [RBX]: 0x20000000n, [RCX]: 100n })).toBe('asked');
    expect(reads).toHaveLength(2000);
    expect(machine.register(RAX)).toBe(BigInt((1901 + 2000) * 50));
    expect(figures(machine).runs).toBeGreaterThan(0);
  });

  it('gives a device each write once, in the order of reads and writes', () => {
    const seen: string[] = [];
    const machine = verifying({
      host: {
        portRead: (_, port) => seen.push(`in ${port.toString(16)}`),
        portWrite: (_, port, size, value) => {
          if (port === 0x80) machine.vcpu.leave('port');
          else seen.push(`out ${port.toString(16)} ${size} ${value}`);
        },
        mmioWrite: (cpu, gpa) => {
          seen.push(`store ${gpa.toString(16)} ${machine.views.u32[(cpu + VCPU.at.scratch) >>> 2]}`);
        },
      },
    });
    // 1: mov eax, ecx; out dx, eax; mov [rbx], ecx; in al, 70h; dec ecx; jnz 1b; out 80h, al
    const code = '89c8 ef 890b e470 ffc9 75f5 e680';
    expect(runOften(machine, code, { [RDX]: 0x1f0n, [RBX]: 0x20000000n, [RCX]: 50n })).toBe('asked');
    expect(seen.slice(-6)).toEqual([
      'out 1f0 4 2',
      'store 20000000 2',
      'in 70',
      'out 1f0 4 1',
      'store 20000000 1',
      'in 70',
    ]);
    expect(seen).toHaveLength(20 * 50 * 3);
    expect(figures(machine).runs).toBeGreaterThan(0);
  });

  it('gives both runs the same clock', () => {
    let ticks = 0;
    const machine = verifying({ host: { tsc: () => (ticks += 3) } });
    // 1: rdtsc; mov [rbx], eax; dec ecx; jnz 1b; out 80h, al
    expect(runOften(machine, '0f31 8903 ffc9 75f8 e680', { [RBX]: 0x20000n, [RCX]: 100n })).toBe('asked');
    expect(ticks).toBe(3 * 2000);
    expect(figures(machine).instructions).toBeGreaterThan(1000);
  });

  it('repeats a run whose memory another thread changed meanwhile', () => {
    const machine = verifying({
      host: {
        // A disk's data arrive behind the guest's first look and before its last.
        portRead: () => {
          machine.views.u32[(RAM_BASE + 0x20000) >>> 2]!++;
          return 0;
        },
      },
    });
    // 1: add edi, [rbx]; in al, 70h; dec ecx; jnz 1b; out 80h, al
    const code = '033b e470 ffc9 75f8 e680';
    expect(runOften(machine, code, { [RDI]: 0n, [RBX]: 0x20000n, [RCX]: 100n })).toBe('asked');
    expect(figures(machine).repeated).toBeGreaterThan(0);
  });

  it('follows code into its faults, and through stores into itself', () => {
    const machine = verifying();
    setHandlers(machine, {
      // add qword [rsp], 2: behind the division; iretq
      0: '4883042402 48cf',
    });
    // 1: mov [rip + 5], cl (the immediate below); xor esi, esi; add esi, 0; div esi; add eax, esi; dec ecx; jnz 1b; out 80h, al
    const code = '880d04000000 31f6 83c600 f7f6 01f0 ffc9 75ed e680';
    expect(runOften(machine, code, { [RAX]: 0n, [RDX]: 0n, [RCX]: 100n, [RSI]: 0n })).toBe('asked');
  });

  it('takes back what repeated string instructions wrote to pages that are open for writing', () => {
    const machine = verifying();
    // 1: add eax, [rbx + 100h]; inc dword [rbx]; mov esi, ebx; lea edi, [rbx + 100h]; mov ecx, 20h; rep movsb; dec edx; jnz 1b; out 80h, al
    const code = '038300010000 ff03 89de 8dbb00010000 b920000000 f3a4 ffca 75e5 e680';
    expect(runOften(machine, code, { [RAX]: 0n, [RBX]: 0x20000n, [RDX]: 100n })).toBe('asked');
    // 1900 + 1901 + ... + 1999
    expect(machine.register(RAX)).toBe(194_950n);
    expect(figures(machine).instructions).toBeGreaterThan(5000);
  });

  it('lets a run go that writes more than the journal holds', () => {
    const machine = verifying();
    // 1: ten times (mov edi, ebx; mov ecx, 10000h; rep stosb); dec edx; jnz 1b; out 80h, al
    const code = `${'89df b900000100 f3aa '.repeat(10)} ffca 0f859effffff e680`;
    expect(runOften(machine, code, { [RBX]: 0x20000n, [RDX]: 40n })).toBe('asked');
    expect(figures(machine).unverified).toBeGreaterThan(0);
  });
});
