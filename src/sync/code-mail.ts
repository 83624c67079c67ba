/**
 * Code that a device's thread has overwritten (`CODE_MAIL` in layout/calls.ts): the vCPUs must drop what they have decoded
 * of it before the guest can learn that the write has happened, so the writer waits until each has, or stands still.
 */
import type { Views } from '../base/views.ts';
import { CODE_MAIL, CODE_MAIL_ENTRIES, codeMailAddress } from '../layout/calls.ts';
import { CAUSE_MAIL, STOP_RUN, THREAD_VCPU0 } from '../layout/machine.ts';
import { vcpuAddress } from '../layout/map.ts';
import { ATTENTION_MAIL, VCPU } from '../layout/vcpu.ts';
import { SharedLock } from './lock.ts';
import { stopAnswer } from './stop.ts';
import { wakeThread } from './wake.ts';

const POSTED = CODE_MAIL.at.posted >>> 2;
const DONE = CODE_MAIL.at.done >>> 2;
const COUNT = CODE_MAIL.at.count >>> 2;
const OVERFLOW = CODE_MAIL.at.overflow >>> 2;
const GPA = CODE_MAIL.at.gpa >>> 2;
const BYTES = CODE_MAIL.at.bytes >>> 2;

/** A vCPU looks at its attention word every 50 to 100 us. One that was stopped meanwhile does not notify. */
const WAIT_MS = 1;

/** For `GuestMemory` on a device's thread: tells all vCPUs, and returns when none can run the old code any more. */
export function postCodeWrite(views: Views, vcpus: number, gpa: number, bytes: number): void {
  const tickets = Array.from({ length: vcpus }, (_, vcpu) => post(views, vcpu, gpa, bytes));
  tickets.forEach((ticket, vcpu) => waitFor(views, vcpu, ticket));
}

function post(views: Views, vcpu: number, gpa: number, bytes: number): number {
  const { i32, u32 } = views;
  const mail = codeMailAddress(vcpu) >>> 2;
  const lock = new SharedLock(views, codeMailAddress(vcpu) + CODE_MAIL.at.lock);
  // The lock orders everything between acquire and release.
  lock.acquire();
  const count = Atomics.load(u32, mail + COUNT);
  if (count < CODE_MAIL_ENTRIES) {
    u32[mail + GPA + count] = gpa;
    u32[mail + BYTES + count] = bytes;
    Atomics.store(u32, mail + COUNT, count + 1);
  } else {
    Atomics.store(u32, mail + OVERFLOW, 1);
  }
  const ticket = (Atomics.add(i32, mail + POSTED, 1) + 1) | 0;
  lock.release();
  // The mail is there before the bit: a vCPU that sees the bit finds it.
  Atomics.or(i32, (vcpuAddress(vcpu) + VCPU.at.attention) >>> 2, ATTENTION_MAIL);
  wakeThread(views, THREAD_VCPU0 + vcpu, CAUSE_MAIL);
  return ticket;
}

function waitFor(views: Views, vcpu: number, ticket: number): void {
  const { i32 } = views;
  const done = (codeMailAddress(vcpu) >>> 2) + DONE;
  for (;;) {
    // Acquire: the vCPU has dropped its blocks before it says so.
    const value = Atomics.load(i32, done);
    if (((value - ticket) | 0) >= 0) return;
    // It takes its mail before it runs again.
    if (stopAnswer(views, THREAD_VCPU0 + vcpu) !== STOP_RUN) return;
    Atomics.wait(i32, done, value, WAIT_MS);
  }
}

/**
 * A vCPU's end, for ATTENTION_MAIL, before it runs guest code: calls `invalidate` for each piece, or `dropAll`. Also while it waits
 * in a synchronous exit, as the thread that it waits for may be the one that has posted.
 */
export function takeCodeWrites(
  views: Views,
  vcpu: number,
  invalidate: (gpa: number, bytes: number) => void,
  dropAll: () => void,
): void {
  const { i32, u32 } = views;
  const mail = codeMailAddress(vcpu) >>> 2;
  // Before the mail is read: what is posted after this sets the bit again.
  Atomics.and(i32, (vcpuAddress(vcpu) + VCPU.at.attention) >>> 2, ~ATTENTION_MAIL);
  const lock = new SharedLock(views, codeMailAddress(vcpu) + CODE_MAIL.at.lock);
  lock.acquire();
  const posted = Atomics.load(i32, mail + POSTED);
  const isOverflow = Atomics.exchange(u32, mail + OVERFLOW, 0) !== 0;
  const pieces = Array.from({ length: Atomics.exchange(u32, mail + COUNT, 0) }, (_, n) => ({
    gpa: u32[mail + GPA + n]!,
    bytes: u32[mail + BYTES + n]!,
  }));
  lock.release();
  if (isOverflow) dropAll();
  else for (const { gpa, bytes } of pieces) invalidate(gpa, bytes);
  // Release: the old code is gone.
  Atomics.store(i32, mail + DONE, posted);
  Atomics.notify(i32, mail + DONE);
}
