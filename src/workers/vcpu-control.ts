/** What the vCPU's thread does for the page: builds CPU and devices, and runs the guest until it stops. */
import { viewsOf } from '../base/views.ts';
import type { Views } from '../base/views.ts';
import type { StartState } from '../boot/start-state.ts';
import type { ExitInfo } from '../control/info.ts';
import type { VcpuFigures } from '../control/figures.ts';
import type { InstalledRegion } from '../control/regions.ts';
import type { VcpuControl, VcpuSetup, VcpuStop } from '../control/vcpu-control.ts';
import { cpuModel } from '../isa/cpuid.ts';
import { STOP_PAUSE, STOP_QUIT, STOP_RUN, THREAD_VCPU0 } from '../layout/machine.ts';
import { VCPU } from '../layout/vcpu.ts';
import type { FormRegion } from '../jit/translate.ts';
import { GuestMemory } from '../memory/guest-memory.ts';
import { acknowledgeStop } from '../sync/stop.ts';
import { ModelSpecificRegisters } from '../vcpu/msr.ts';
import { Vcpu } from '../vcpu/vcpu.ts';
import { RemoteCompiler } from './remote-compiler.ts';
import { createHostCalls } from './host-calls.ts';
import { writeStartState } from './start-cpu.ts';
import { buildParts } from './vcpu-parts.ts';
import type { MachineRequest, VcpuParts } from './vcpu-parts.ts';

const A20_BIT = 1 << 20;

class VcpuThread {
  readonly #views: Views;
  readonly #setup: VcpuSetup;
  readonly #parts: VcpuParts;
  readonly #msrs: ModelSpecificRegisters;
  readonly #vcpu: Vcpu<MachineRequest>;
  readonly #compiler: RemoteCompiler | undefined;
  #isPowered = false;

  constructor(setup: VcpuSetup, form: FormRegion | undefined) {
    const { index } = setup;
    const views = viewsOf(setup.memory.buffer);
    this.#views = views;
    this.#setup = setup;
    this.#parts = buildParts({
      views,
      index,
      vcpus: setup.vcpus,
      ramBytes: setup.ramBytes,
      timeOrigin: setup.timeOrigin,
      serialPorts: setup.serialPorts,
      ...(setup.debugExit === undefined ? {} : { debugExit: setup.debugExit }),
      functions: setup.hardware.functions,
      onCodeWrite: (gpa, bytes) => {
        const { cpu, core } = this.#vcpu;
        core.invalidateCode(cpu, gpa, bytes);
      },
      onWaited: (ms) => this.#msrs.addStolenTime(ms * 1e6),
      ask: (request) => this.#vcpu.leave(request),
      onAttention: () => this.#vcpu.useUpBudget(),
      onA20: (enabled) => {
        const { cpu, core } = this.#vcpu;
        views.u32[(cpu + VCPU.at.a20Mask) >>> 2] = enabled ? 0xffffffff : ~A20_BIT;
        core.flushTlb(cpu, 0);
      },
    });
    const { clock, irqchip, timers } = this.#parts;
    const model = cpuModel(setup.vcpus, setup.cpuFeatures);
    this.#msrs = new ModelSpecificRegisters({
      views,
      index,
      features: model.features,
      irqchip,
      clock,
      memory: new GuestMemory(views, setup.ramBytes, (gpa, bytes) => {
        const { cpu, core } = this.#vcpu;
        core.invalidateCode(cpu, gpa, bytes);
      }),
      wallClock: () => Date.now(),
    });
    this.#compiler =
      setup.compiler &&
      new RemoteCompiler(setup.compiler, { memory: setup.memory, index, features: model.features });
    this.#vcpu = new Vcpu<MachineRequest>({
      views,
      memory: setup.memory,
      index,
      vcpuCount: setup.vcpus,
      coreModule: setup.coreModule,
      interpreterModule: setup.interpreterModule,
      host: createHostCalls({ views, index, parts: this.#parts, model, msrs: this.#msrs }),
      environment: {
        pendingVector: () => irqchip.pendingVector(index),
        acknowledge: () => irqchip.acknowledge(index),
        now: () => clock.now(),
        nextDeadline: () => Math.min(irqchip.nextDeadline(index), timers.nextDeadline()),
        expire: (now) => {
          irqchip.expire(index, now);
          timers.expire(now);
        },
        takeMail: () => this.#parts.takeMail(),
      },
      jit: setup.jit !== 'off',
      guessTsc: setup.vcpus === 1 && setup.jit !== 'verify',
      ...(setup.jit === 'verify' ? { verify: form === undefined ? {} : { form } } : {}),
      ...(this.#compiler === undefined ? {} : { compiler: this.#compiler }),
      features: model.features,
      hostNow: () => performance.now(),
    });
  }

  reset(entry: StartState): void {
    // The time line of the first reset is the machine's.
    if (this.#isPowered) this.#parts.reset();
    else this.#parts.powerOn();
    this.#isPowered = true;
    this.#msrs.reset();
    this.#vcpu.reset(this.#setup.ramBytes);
    writeStartState(this.#views, this.#vcpu.cpu, entry);
    this.#vcpu.core.updateMode(this.#vcpu.cpu);
  }

  async run(): Promise<VcpuStop> {
    const { clock } = this.#parts;
    const thread = THREAD_VCPU0 + this.#setup.index;
    // Before the look at the attention bits: who posts code mail either sees that we run, or we see the mail.
    acknowledgeStop(this.#views, thread, STOP_RUN);
    const wasPaused = clock.paused;
    clock.resume();
    if (wasPaused) this.#msrs.guestWasStopped();
    let end = this.#vcpu.run();
    while (end.kind === 'compiled') {
      await this.#compiler?.turn();
      end = this.#vcpu.run();
    }
    clock.pause();
    // Registers and devices are in memory: whoever waits for the answer may read them.
    const isOver = end.kind === 'stop' && end.request === STOP_QUIT;
    acknowledgeStop(this.#views, thread, isOver ? STOP_QUIT : STOP_PAUSE);
    switch (end.kind) {
      case 'stop':
        return { kind: 'stopped' };
      case 'asked':
        return end.what;
      case 'shutdown':
        return { kind: 'triple-fault' };
      case 'disagreement':
        return { kind: 'disagreement', report: end.report };
      case 'unsupported':
        return { kind: 'defect', message: end.message };
    }
  }

  get figures(): VcpuFigures {
    return this.#vcpu.figures;
  }

  get regions(): readonly InstalledRegion[] {
    return this.#vcpu.regions;
  }

  get exits(): readonly ExitInfo[] {
    return this.#parts.exits();
  }
}

/** `form`: what regions are under verify; tests of it hand over a wrong one. */
export function createVcpuControl(form?: FormRegion): VcpuControl<StartState> {
  let thread: VcpuThread | undefined;
  const prepared = (): VcpuThread => {
    if (thread === undefined) throw new Error('the vCPU was not prepared');
    return thread;
  };
  return {
    prepare: (setup) => {
      thread = new VcpuThread(setup, form);
    },
    reset: (entry) => prepared().reset(entry),
    run: () => prepared().run(),
    figures: () => prepared().figures,
    exits: () => prepared().exits,
    regions: () => prepared().regions,
  };
}
