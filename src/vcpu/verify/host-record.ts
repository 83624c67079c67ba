/**
 * What a run asks of the world outside the CPU, for the run that repeats it: reads happen once and are played back; writes are held
 * back until both runs agree, unless a read follows that may depend on them.
 */
import type { Views } from '../../base/views.ts';
import { IOEVENTFD_SPACE_MEMORY, IOEVENTFD_SPACE_PORT } from '../../layout/ioeventfd.ts';
import { BUDGET_USED_UP, REG_RAX, REG_RCX, REG_RDX, VCPU } from '../../layout/vcpu.ts';
import type { CoreExports, HostCalls } from '../link.ts';
import { CpuBlock, CpuState } from './cpu-state.ts';

type CallName = keyof HostCalls;

interface Call {
  readonly name: CallName;
  /** Port or address and size, what is written, or the registers that are looked at. */
  readonly args: readonly number[];
  readonly result: number;
  /** Of the vCPU's block: word and value. */
  readonly changes: readonly number[];
  readonly usesUp: boolean;
  isHeldBack: boolean;
}

/** The second run asked for something else than the first. */
export class AnotherRequest extends Error {}

export class HostRecord {
  readonly calls: HostCalls;
  readonly #views: Views;
  readonly #cpu: number;
  readonly #host: HostCalls;
  readonly #block: CpuBlock;
  readonly #before = new CpuState();
  #core: CoreExports | undefined;
  #recorded: Call[] = [];
  /** Of the next call that is played back. */
  #at = 0;
  /** Calls of the first run. */
  #expected = 0;
  #mode: 'through' | 'record' | 'repeat' = 'through';

  constructor(views: Views, cpu: number, host: HostCalls) {
    this.#views = views;
    this.#cpu = cpu;
    this.#host = host;
    this.#block = new CpuBlock(views, cpu);
    const registers = (...numbers: readonly number[]): number[] =>
      numbers.map((number) => this.#word(VCPU.at.regs + number * 8));
    const scratch = (size: number): number[] =>
      Array.from({ length: size }, (_, i) => views.u8[cpu + VCPU.at.scratch + i]!);
    this.calls = {
      mmioRead: (_, gpa, size) =>
        void this.#call('mmioRead', [gpa, size], () => host.mmioRead(cpu, gpa, size)),
      mmioWrite: (_, gpa, size) =>
        void this.#call('mmioWrite', [gpa, size, ...scratch(size)], () => host.mmioWrite(cpu, gpa, size)),
      portRead: (_, port, size) => this.#call('portRead', [port, size], () => host.portRead(cpu, port, size)),
      portWrite: (_, port, size, value) =>
        void this.#call('portWrite', [port, size, value], () => host.portWrite(cpu, port, size, value)),
      cpuid: () => void this.#call('cpuid', registers(REG_RAX, REG_RCX), () => host.cpuid(cpu)),
      readMsr: () => this.#call('readMsr', registers(REG_RCX), () => host.readMsr(cpu)),
      writeMsr: () => this.#call('writeMsr', registers(REG_RCX, REG_RAX, REG_RDX), () => host.writeMsr(cpu)),
      tsc: () => this.#call('tsc', [], () => host.tsc(cpu)),
      random: () => void this.#call('random', [], () => host.random(cpu)),
      taskPriority: () => this.#call('taskPriority', [], () => host.taskPriority(cpu)),
      setTaskPriority: (_, value) =>
        void this.#call('setTaskPriority', [value], () => host.setTaskPriority(cpu, value)),
    };
  }

  attach(core: CoreExports): void {
    this.#core = core;
  }

  /** The first run, or once more; what is known is played back, and more may follow. */
  record(): void {
    this.#at = 0;
    this.#mode = 'record';
  }

  /** The second run has to ask for the same. */
  repeat(): void {
    this.#expected = this.#at;
    this.#at = 0;
    this.#mode = 'repeat';
  }

  pass(): void {
    this.#mode = 'through';
  }

  /** What the first run asked for and the second has not, or undefined. */
  get missing(): string | undefined {
    const call = this.#at < this.#expected ? this.#recorded[this.#at] : undefined;
    return call && textOf(call.name, call.args);
  }

  /** Whether the run loop has to be asked before the guest goes on. */
  get wantsRunLoop(): boolean {
    return this.#recorded.slice(0, this.#expected).some(({ usesUp }) => usesUp);
  }

  /**
   * Both runs agree: carries out the writes that were held back. What a longer run had asked for beyond that is kept for the
   * next one.
   */
  release(): void {
    const kept = this.#recorded.slice(this.#expected);
    this.#recorded.length = this.#expected;
    this.#performAll();
    this.#recorded = kept;
  }

  #performAll(): void {
    for (const call of this.#recorded) if (call.isHeldBack) this.#perform(call);
  }

  #call(name: CallName, args: readonly number[], perform: () => number | void): number {
    if (this.#mode === 'through') return perform() ?? 0;
    const known =
      this.#mode === 'repeat' && this.#at >= this.#expected ? undefined : this.#recorded[this.#at];
    if (known !== undefined) {
      if (known.name === name && known.args.every((value, i) => value === args[i])) {
        this.#at++;
        return this.#playBack(known);
      }
      if (this.#mode === 'repeat') {
        throw new AnotherRequest(
          `${textOf(name, args)}, where translated code had ${textOf(known.name, known.args)}`,
        );
      }
      // Memory has changed since (DMA), and with it the way.
      this.#recorded.length = this.#at;
    }
    if (this.#mode === 'repeat') throw new AnotherRequest(textOf(name, args));
    const isWrite = name === 'mmioWrite' || name === 'portWrite';
    if (isWrite) this.#useUp();
    else this.#performAll();
    const call = isWrite ? { result: 0, changes: [], usesUp: true } : this.#observe(perform);
    this.#recorded.push({ name, args, ...call, isHeldBack: isWrite });
    this.#at++;
    return call.result;
  }

  #observe(perform: () => number | void): Pick<Call, 'result' | 'changes' | 'usesUp'> {
    const before = this.#word(VCPU.at.budget);
    this.#block.save(this.#before);
    const result = perform() ?? 0;
    return {
      result,
      changes: this.#block.changesSince(this.#before),
      usesUp: this.#word(VCPU.at.budget) !== before,
    };
  }

  #playBack({ result, changes, usesUp }: Call): number {
    this.#block.apply(changes);
    if (usesUp) this.#useUp();
    return result;
  }

  #perform(call: Call): void {
    const { data } = this.#views;
    const scratch = this.#cpu + VCPU.at.scratch;
    const saved = data.getBigUint64(scratch, true);
    call.isHeldBack = false;
    const [address = 0, size = 0, ...rest] = call.args;
    if (call.name === 'portWrite') {
      const [value = 0] = rest;
      if (!this.#kicks(IOEVENTFD_SPACE_PORT, address, size, BigInt(value >>> 0))) {
        this.#host.portWrite(this.#cpu, address, size, value);
      }
    } else {
      rest.forEach((byte, i) => data.setUint8(scratch + i, byte));
      const value = data.getBigUint64(scratch, true) & ((1n << BigInt(size * 8)) - 1n);
      if (!this.#kicks(IOEVENTFD_SPACE_MEMORY, address, size, value)) {
        this.#host.mmioWrite(this.#cpu, address, size);
      }
    }
    data.setBigUint64(scratch, saved, true);
  }

  #kicks(space: number, address: number, size: number, value: bigint): boolean {
    return this.#core?.kick(this.#cpu, space, address, size, value) === 1;
  }

  /** As a device does that wants the run loop (docs/core.md, Interrupts). */
  #useUp(): void {
    const left = this.#word(VCPU.at.budget) | 0;
    if (left > 0) this.#views.u32[(this.#cpu + VCPU.at.budget) >>> 2] = left - BUDGET_USED_UP;
  }

  #word(offset: number): number {
    return this.#views.u32[(this.#cpu + offset) >>> 2]!;
  }
}

const VERBS: Readonly<Record<CallName, string>> = {
  mmioRead: 'a read of device memory',
  mmioWrite: 'a write to device memory',
  portRead: 'IN',
  portWrite: 'OUT',
  cpuid: 'CPUID',
  readMsr: 'RDMSR',
  writeMsr: 'WRMSR',
  tsc: 'RDTSC',
  random: 'RDRAND',
  taskPriority: 'a read of CR8',
  setTaskPriority: 'a write to CR8',
};

function textOf(name: CallName, args: readonly number[]): string {
  return [VERBS[name], ...args.map((value) => (value >>> 0).toString(16))].join(' ');
}
