/**
 * Real-time priority (sched(7), SCHED_RR) for a while, for what this process has started: a way to measure on a machine that others keep
 * busy. They get what is left meanwhile, so a measurement should take seconds.
 */
import { execFileSync } from 'node:child_process';
import { descendants } from './cpu-time.ts';

export function setRealTime(wanted: boolean, processes: readonly number[] = descendants(process.pid)): void {
  const policy = wanted ? ['--rr', '--pid', '5'] : ['--other', '--pid', '0'];
  for (const pid of processes) {
    try {
      execFileSync('chrt', ['--all-tasks', ...policy, String(pid)], { stdio: 'ignore' });
    } catch {
      // It has ended, or this user may not: the measurement says how busy the machine was.
    }
  }
}

/** The same for all that `action` starts. */
export async function inRealTime<T>(wanted: boolean, action: () => Promise<T>): Promise<T> {
  if (wanted) setRealTime(true, [process.pid]);
  try {
    return await action();
  } finally {
    if (wanted) setRealTime(false, [process.pid]);
  }
}
