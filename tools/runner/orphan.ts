/** A process whose parent has ended serves nobody: whoever started it was killed and could not tell it to end. */
const INTERVAL_MS = 500;

const parent = process.ppid;

/**
 * Calls `action` once when the process that started this one is gone; the kernel then gives it another parent. (On
 * Windows it does not, and nothing happens.) The result ends the watch.
 */
export function whenOrphaned(action: () => void): () => void {
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    action();
  }, INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}
