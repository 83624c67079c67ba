import { describe, expect, it } from 'vitest';
import { viewsOf } from '../base/views.ts';
import { CODE_MAIL, codeMailAddress, EXIT_CALL, exitCallAddress } from '../layout/calls.ts';
import {
  CAUSE_INTERRUPT,
  STOP_PAUSE,
  STOP_QUIT,
  THREAD,
  THREAD_IO0,
  THREAD_VCPU0,
  threadAddress,
} from '../layout/machine.ts';
import { VCPU_BASE, vcpuAddress } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';
import { postCodeWrite, takeCodeWrites } from './code-mail.ts';
import { ExitCaller, ExitServer } from './exit-call.ts';
import { acknowledgeStop, requestStop } from './stop.ts';
import { explore } from './test-interleave.ts';
import { wakeThread, WakeWord } from './wake.ts';

function memory() {
  const views = viewsOf(new SharedArrayBuffer(VCPU_BASE + 0x2000));
  const attention = (vcpuAddress(0) + VCPU.at.attention) >>> 2;
  const clear = (address: number, bytes: number) => views.u32.fill(0, address >>> 2, (address + bytes) >>> 2);
  const prepare = () => {
    for (const thread of [THREAD_VCPU0, THREAD_IO0]) clear(threadAddress(thread), THREAD.size);
    clear(exitCallAddress(0), EXIT_CALL.size);
    clear(codeMailAddress(0), CODE_MAIL.size);
    views.u32[attention] = 0;
  };
  return { views, prepare, attention: () => views.u32[attention]! };
}

const noneSleeps = (blocked: readonly number[]) =>
  blocked.length === 0 ? undefined : `threads ${blocked.join()} sleep for ever`;

describe('a synchronous exit', () => {
  it('is counted by device and operation, with the time that the vCPU waited', () => {
    const { views } = memory();
    const server = new ExitServer(views, THREAD_IO0, 1);
    const clock = { now: 0 };
    const stolen: number[] = [];
    const answer = (): void => {
      clock.now += 3;
      server.serve((_call, done) => done());
    };
    const caller = new ExitCaller(views, 0, answer, {
      now: () => clock.now,
      waited: (ms) => stolen.push(ms),
    });
    const call = (device: number, operation: number): void => {
      // So that the wait ends at once, and the answer comes after it.
      wakeThread(views, THREAD_VCPU0, CAUSE_INTERRUPT);
      caller.call(THREAD_IO0, device, operation, 0);
    };
    call(0, 3);
    call(0, 3);
    call(1, 3);
    expect(caller.counters).toEqual([
      { target: THREAD_IO0, device: 0, operation: 3, calls: 2, waitedMs: 6 },
      { target: THREAD_IO0, device: 1, operation: 3, calls: 1, waitedMs: 3 },
    ]);
    expect(stolen).toEqual([3, 3, 3]);
  });

  it('is answered, in every interleaving of vCPU and device thread', () => {
    const { views, prepare } = memory();
    let seen: unknown;
    const result = explore({
      prepare,
      threads: [
        () => void new ExitCaller(views, 0).call(THREAD_IO0, 3, 1, 7),
        () => {
          const wake = new WakeWord(views, THREAD_IO0);
          const server = new ExitServer(views, THREAD_IO0, 1);
          let served = 0;
          for (;;) {
            served += server.serve((call, answer) => {
              seen = call;
              answer();
            });
            if (served > 0) return;
            wake.wait(Infinity);
          }
        },
      ],
      check: noneSleeps,
    });
    expect(result.problem).toBeUndefined();
    expect(result.states).toBeGreaterThan(50);
    expect(seen).toEqual({ device: 3, operation: 1, argument: 7 });
  });

  it('may be answered later, and is not served twice', () => {
    const { views } = memory();
    views.i32[exitCallAddress(0) >>> 2] = 1;
    views.u32[(exitCallAddress(0) + EXIT_CALL.at.target) >>> 2] = THREAD_IO0;
    const server = new ExitServer(views, THREAD_IO0, 1);
    const answers: (() => void)[] = [];
    const counts = [
      server.serve((_, answer) => answers.push(answer)),
      server.serve((_, answer) => answers.push(answer)),
    ];
    const before = views.i32[exitCallAddress(0) >>> 2];
    answers[0]!();
    expect([counts, before, views.i32[exitCallAddress(0) >>> 2]]).toEqual([[1, 0], 2, 3]);
  });

  it('is not served by another thread', () => {
    const { views } = memory();
    views.i32[exitCallAddress(0) >>> 2] = 1;
    views.u32[(exitCallAddress(0) + EXIT_CALL.at.target) >>> 2] = THREAD_IO0 + 1;
    expect(new ExitServer(views, THREAD_IO0, 1).serve(() => {})).toBe(0);
  });

  it('leaves other causes to the vCPU', () => {
    const { views } = memory();
    wakeThread(views, THREAD_VCPU0, CAUSE_INTERRUPT);
    const caller = new ExitCaller(views, 0, () => {
      views.i32[exitCallAddress(0) >>> 2] = 3;
    });
    expect(caller.call(THREAD_IO0, 0, 0, 0)).toBe(true);
    expect(new WakeWord(views, THREAD_VCPU0).take()).toBe(CAUSE_INTERRUPT);
  });

  it('ends with the machine', () => {
    const { views } = memory();
    requestStop(views, THREAD_VCPU0, STOP_QUIT);
    expect(new ExitCaller(views, 0).call(THREAD_IO0, 0, 0, 0)).toBe(false);
  });
});

describe('a write to code by a device’s thread', () => {
  it('returns when the vCPU has dropped it, in every interleaving', () => {
    const { views, prepare } = memory();
    const code = { dropped: 0 };
    const result = explore({
      prepare: () => {
        prepare();
        code.dropped = 0;
      },
      threads: [
        () => {
          postCodeWrite(views, 1, 0x5000, 64);
        },
        () => {
          code.dropped = 0;
          const wake = new WakeWord(views, THREAD_VCPU0);
          while (code.dropped === 0) {
            wake.wait(Infinity);
            takeCodeWrites(
              views,
              0,
              () => code.dropped++,
              () => {},
            );
          }
        },
      ],
      check: (blocked) =>
        noneSleeps(blocked) ?? (code.dropped === 1 ? undefined : `dropped ${code.dropped} times`),
    });
    expect(result.problem).toBeUndefined();
  });

  it('tells each piece, and everything if there are too many', () => {
    const { views, attention } = memory();
    acknowledgeStop(views, THREAD_VCPU0, STOP_PAUSE);
    const pieces: string[] = [];
    const take = () =>
      takeCodeWrites(
        views,
        0,
        (gpa, bytes) => pieces.push(`${gpa}+${bytes}`),
        () => pieces.push('all'),
      );
    postCodeWrite(views, 1, 0x5000, 64);
    postCodeWrite(views, 1, 0x6000, 32);
    const before = attention();
    take();
    for (let n = 0; n < 9; n++) postCodeWrite(views, 1, n, 1);
    take();
    take();
    expect([before, attention(), pieces]).toEqual([8, 0, ['20480+64', '24576+32', 'all']]);
  });
});
