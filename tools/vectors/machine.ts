/** A vCPU without devices for the replay of vectors. */
import { viewsOf } from '../../src/base/views.ts';
import { REPLAY_RAM_BYTES } from '../../src/interp/vectors-platform.ts';
import type { PlatformKind } from '../../src/interp/vectors-platform.ts';
import { Replay } from '../../src/interp/vectors-replay.ts';
import { RAM_BASE } from '../../src/layout/map.ts';
import { VCPU } from '../../src/layout/vcpu.ts';
import { Vcpu } from '../../src/vcpu/vcpu.ts';

export function createReplay(
  core: Uint8Array<ArrayBuffer>,
  interpreter: Uint8Array<ArrayBuffer>,
  kind: PlatformKind,
): Replay {
  const bytes = RAM_BASE + REPLAY_RAM_BYTES;
  const memory = new WebAssembly.Memory({ initial: bytes / 65536, maximum: 65536, shared: true });
  const views = viewsOf(memory.buffer);
  const vcpu = new Vcpu<never>({
    views,
    memory,
    index: 0,
    vcpuCount: 1,
    coreModule: new WebAssembly.Module(core),
    interpreterModule: new WebAssembly.Module(interpreter),
    host: {
      mmioRead: () => undefined,
      mmioWrite: () => undefined,
      portRead: () => 0,
      portWrite: () => 0,
      cpuid: () => undefined,
      readMsr: () => 1,
      writeMsr: () => 1,
      tsc: () => 0,
      taskPriority: () => 0,
      setTaskPriority: () => undefined,
    },
    environment: {
      pendingVector: () => -1,
      acknowledge: () => -1,
      now: () => 0,
      nextDeadline: () => Infinity,
      expire: () => undefined,
    },
    jit: false,
    hostNow: () => 0,
  });
  vcpu.reset(REPLAY_RAM_BYTES);
  const step = (): string | undefined => {
    try {
      const end = vcpu.step();
      return end && (end.kind === 'unsupported' ? end.message : end.kind);
    } catch (error) {
      // A function of the core that is not there yet.
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      return views.u32[(vcpu.cpu + VCPU.at.exception) >>> 2]
        ? undefined
        : `the core trapped: ${error.message}`;
    }
  };
  return new Replay({ memory: memory.buffer, cpu: vcpu.cpu, core: vcpu.core, step }, kind);
}
