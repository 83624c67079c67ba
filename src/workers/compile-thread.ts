/** The compile worker: pages of guest code in, modules out whose functions are warm. It never touches guest memory. */
import { viewsOf } from '../base/views.ts';
import { Decoder } from '../isa/decoder.ts';
import { CAUSE_MAIL, THREAD_VCPU0 } from '../layout/machine.ts';
import { wakeThread } from '../sync/wake.ts';
import { compileJob, type CompileJob } from '../vcpu/compiler.ts';
import { askForTurn, type CompilerAnswer, type CompilerSetup } from './remote-compiler.ts';
import { WarmUp } from './warm-up.ts';

/** Serves the vCPU at the other end of `port`, whose first message says which one it is. */
export function serveCompiler(port: MessagePort): void {
  const begin = ({ data }: MessageEvent<CompilerSetup>): void => {
    const { memory, index, features, answered } = data;
    const views = viewsOf(memory.buffer);
    const decoder = new Decoder(features);
    const warmUp = new WarmUp();
    port.addEventListener('message', ({ data: job }: MessageEvent<CompileJob>) => {
      port.postMessage(answer(decoder, warmUp, job));
      Atomics.add(answered, 0, 1);
      askForTurn(views.i32, index);
      // In HLT it has the time.
      wakeThread(views, THREAD_VCPU0 + index, CAUSE_MAIL);
    });
  };
  port.addEventListener('message', begin, { once: true });
  port.start();
}

function answer(decoder: Decoder, warmUp: WarmUp, job: CompileJob): CompilerAnswer {
  try {
    const done = compileJob(decoder, job, () => performance.now());
    if (done.module === undefined) return done;
    const started = performance.now();
    warmUp.call(done.module);
    return { ...done, compileMs: done.compileMs + performance.now() - started };
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
