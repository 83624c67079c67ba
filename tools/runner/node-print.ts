/** The console of a worker goes through its parent's event loop and needs its own: a thread that blocks would print nothing. */
import { writeSync } from 'node:fs';
import { format } from 'node:util';

export function printDirectly(): void {
  console.log =
    console.info =
    console.warn =
    console.error =
      (...values: unknown[]): void => {
        writeSync(2, `${format(...values)}\n`);
      };
}
