/** A vCPU's thread under V8's sampling profiler: tools/jit-hot.ts reads what it writes. */
import { Session } from 'node:inspector';
import { writeFileSync } from 'node:fs';
import type { StartState } from '../../src/boot/start-state.ts';
import type { VcpuControl } from '../../src/control/vcpu-control.ts';

const INTERVAL_US = 500;

/** Each stay of the vCPU is profiled, and the last one that ended is in the file. */
export function profiled(control: VcpuControl<StartState>, file: string): VcpuControl<StartState> {
  return {
    ...control,
    run: async () => {
      const session = new Session();
      session.connect();
      session.post('Profiler.enable');
      session.post('Profiler.setSamplingInterval', { interval: INTERVAL_US });
      session.post('Profiler.start');
      try {
        return await control.run();
      } finally {
        session.post('Profiler.stop', (error, result) => {
          if (error === null) writeFileSync(file, JSON.stringify(result.profile));
        });
        session.disconnect();
      }
    },
  };
}
