/** The parts list of a vCPU's thread: which devices answer its ports and addresses, and where their lines go. */
import { COM_GSIS, COM_PORTS } from '../base/platform.ts';
import type { Views } from '../base/views.ts';
import { IoBus } from '../devices/io-bus.ts';
import { addIrqChip } from '../devices/platform-ports.ts';
import { Uart } from '../devices/uart.ts';
import { IrqChip } from '../irqchip/irqchip.ts';
import { CAUSE_DOORBELL, SERIAL_IN_BASE, SERIAL_OUT_BASE, THREAD_PAGE } from '../layout/machine.ts';
import { ByteRing } from '../sync/ring.ts';
import { wakeThread } from '../sync/wake.ts';
import { GuestClock } from '../time/clock.ts';
import { TimerSet } from '../time/deadline.ts';

/** What a device may ask of the machine. */
export type MachineRequest =
  | { readonly kind: 'power-off' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'debug-exit'; readonly value: number };

export interface PartsOptions {
  readonly views: Views;
  readonly index: number;
  readonly vcpus: number;
  /** `performance.timeOrigin` of the page. */
  readonly timeOrigin: number;
  readonly debugExitPort?: number;
  /** A device ends the stay of the vCPU. */
  readonly ask: (request: MachineRequest) => void;
  /** An interrupt was signalled to this thread's vCPU. */
  readonly onAttention: () => void;
}

export interface VcpuParts {
  readonly bus: IoBus;
  readonly clock: GuestClock;
  readonly irqchip: IrqChip;
  readonly timers: TimerSet;
  /** Power-on state of every device. */
  reset(): void;
}

export function buildParts(options: PartsOptions): VcpuParts {
  const { views, index } = options;
  // Every thread's performance.now() starts when the thread does. Milliseconds since the page's start stay small enough
  // to be exact to the nanosecond.
  const origin = performance.timeOrigin - options.timeOrigin;
  const clock = new GuestClock(views, () => origin + performance.now());
  const irqchip = new IrqChip({
    views,
    clock,
    vcpus: options.vcpus,
    onAttention: (cpu) => {
      if (cpu === index) options.onAttention();
    },
  });
  const bus = new IoBus();
  addIrqChip(bus, irqchip, index);

  const com1 = new Uart({
    views,
    clock,
    index: 0,
    line: irqchip.line(COM_GSIS[0]),
    output: new ByteRing(views, SERIAL_OUT_BASE),
    input: new ByteRing(views, SERIAL_IN_BASE),
    onOutput: () => wakeThread(views, THREAD_PAGE, CAUSE_DOORBELL),
  });
  bus.addPorts('com1', COM_PORTS[0], 8, [1], com1);

  return {
    bus,
    clock,
    irqchip,
    timers: new TimerSet([irqchip.pitTimer, com1]),
    reset: () => {
      clock.reset();
      irqchip.reset();
      com1.reset();
    },
  };
}
