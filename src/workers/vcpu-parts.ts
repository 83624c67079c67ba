/** The parts list of a vCPU's thread: which devices answer its ports and addresses, and where their lines go. */
import { COM_GSIS, COM_PORTS, KEYBOARD_GSI, MOUSE_GSI, RTC_GSI, SCI_GSI } from '../base/platform.ts';
import type { Views } from '../base/views.ts';
import type { DebugExitConfig } from '../config/vm-config.ts';
import type { VirtioFunction } from '../control/hardware.ts';
import type { ExitInfo } from '../control/info.ts';
import { AcpiPm } from '../devices/acpi-pm.ts';
import { A20Gate, BoardPorts } from '../devices/board-ports.ts';
import { I8042Controller } from '../devices/i8042.ts';
import { IoBus } from '../devices/io-bus.ts';
import type { IoRange } from '../devices/io-bus.ts';
import { PciBus } from '../devices/pci/bus.ts';
import { addI440fx } from '../devices/pci/i440fx.ts';
import { addIrqChip } from '../devices/platform-ports.ts';
import { RealTimeClock } from '../devices/rtc.ts';
import { Uart } from '../devices/uart.ts';
import { IrqChip } from '../irqchip/irqchip.ts';
import { doorbellOf } from '../layout/ioeventfd.ts';
import { CAUSE_DOORBELL, SERIAL_IN_BASE, SERIAL_OUT_BASE, THREAD_PAGE } from '../layout/machine.ts';
import { GuestMemory } from '../memory/guest-memory.ts';
import { takeCodeWrites } from '../sync/code-mail.ts';
import { doorbellCounts } from '../sync/doorbell.ts';
import { ExitCaller } from '../sync/exit-call.ts';
import type { ExitCounter } from '../sync/exit-call.ts';
import { ByteRing } from '../sync/ring.ts';
import { wakeThread } from '../sync/wake.ts';
import { GuestClock } from '../time/clock.ts';
import { TimerSet } from '../time/deadline.ts';
import type { TimerSource } from '../time/deadline.ts';
import { IoeventfdTable } from '../virtio/ioeventfd.ts';
import { publishUsed } from '../virtio/ring-exchange.ts';
import { OWNER_OPERATIONS, RemoteOwner } from '../virtio/remote-owner.ts';
import { addTransport } from './virtio-functions.ts';

/** What a device may ask of the machine. */
export type MachineRequest =
  | { readonly kind: 'power-off' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'debug-exit'; readonly status: number };

export interface PartsOptions {
  readonly views: Views;
  readonly index: number;
  readonly vcpus: number;
  readonly ramBytes: number;
  /** `performance.timeOrigin` of the page. */
  readonly timeOrigin: number;
  readonly serialPorts: number;
  readonly debugExit?: DebugExitConfig;
  readonly functions: readonly VirtioFunction[];
  /** Memory that was decoded as code has been overwritten by another thread. */
  readonly onCodeWrite: (gpa: number, bytes: number) => void;
  /** The vCPU has waited so long for another thread, in ms. */
  readonly onWaited: (ms: number) => void;
  /** A device ends the stay of the vCPU. */
  readonly ask: (request: MachineRequest) => void;
  /** An interrupt was signalled to this thread's vCPU. */
  readonly onAttention: () => void;
  /** Address line 20 is forced to 0, or not any more. */
  readonly onA20: (enabled: boolean) => void;
}

export interface VcpuParts {
  readonly bus: IoBus;
  readonly clock: GuestClock;
  readonly irqchip: IrqChip;
  readonly timers: TimerSet;
  /** Drops code that other threads have overwritten, for ATTENTION_MAIL. */
  takeMail(): void;
  /** For `info exits`. */
  exits(): readonly ExitInfo[];
  /** Every device as it is when the power comes on. */
  powerOn(): void;
  /** The RESET line: what only power clears (time of day, CMOS) stays. */
  reset(): void;
}

export function buildParts(options: PartsOptions): VcpuParts {
  const { views, index, vcpus, ramBytes, ask } = options;
  // Every thread's performance.now() starts when the thread does. Milliseconds since the page's start stay small enough
  // to be exact to the nanosecond.
  const origin = performance.timeOrigin - options.timeOrigin;
  const clock = new GuestClock(views, () => origin + performance.now());
  const irqchip = new IrqChip({
    views,
    clock,
    vcpus,
    onAttention: (cpu) => {
      if (cpu === index) options.onAttention();
    },
  });
  const bus = new IoBus(() => performance.now());
  addIrqChip(bus, irqchip, index);

  const a20 = new A20Gate(views, options.onA20);
  const board = new BoardPorts({
    views,
    a20,
    requests: {
      reset: () => ask({ kind: 'reset' }),
      powerOff: () => ask({ kind: 'power-off' }),
      debugExit: (status) => ask({ kind: 'debug-exit', status }),
      setA20: options.onA20,
    },
    ...debugExitOf(options.debugExit),
  });
  board.attach(bus);

  const acpi = new AcpiPm({
    views,
    clock,
    line: irqchip.line(SCI_GSI),
    powerOff: () => ask({ kind: 'power-off' }),
  });
  acpi.attach(bus);

  const rtc = new RealTimeClock({
    views,
    clock,
    wallClock: () => Date.now(),
    line: irqchip.line(RTC_GSI),
    ramBytes,
    vcpus,
  });
  rtc.attach(bus);

  const i8042 = new I8042Controller({
    views,
    keyboardLine: irqchip.line(KEYBOARD_GSI),
    mouseLine: irqchip.line(MOUSE_GSI),
    a20,
    reset: () => ask({ kind: 'reset' }),
  });
  i8042.attach(bus);

  const pci = new PciBus({ views, line: (gsi, input) => irqchip.line(gsi, input) });
  const chipset = addI440fx(pci);

  const memory = new GuestMemory(views, ramBytes, options.onCodeWrite);
  const takeMail = (): void => {
    takeCodeWrites(views, index, options.onCodeWrite, () => options.onCodeWrite(0, ramBytes));
    for (const { state, interrupts } of functions)
      publishUsed(views, memory, state, state.get('queueCount'), interrupts);
  };
  const exits = new ExitCaller(views, index, takeMail, {
    now: () => performance.now(),
    waited: options.onWaited,
  });
  const ioeventfds = new IoeventfdTable(views);
  if (index === 0) ioeventfds.create();
  const functions = options.functions.map((fn) =>
    addTransport(fn, {
      views,
      pci,
      ioeventfds,
      sendMsi: (address, data) => void irqchip.sendMsi(address, data),
    }).serve(new RemoteOwner(exits, fn.thread, fn.slot)),
  );
  pci.attach(bus);

  const uarts = Array.from({ length: Math.min(options.serialPorts, 1) }, (_, port) => {
    const uart = new Uart({
      views,
      clock,
      index: port,
      line: irqchip.line(COM_GSIS[0]),
      output: new ByteRing(views, SERIAL_OUT_BASE),
      input: new ByteRing(views, SERIAL_IN_BASE),
      onOutput: () => wakeThread(views, THREAD_PAGE, CAUSE_DOORBELL),
    });
    bus.addPorts('com1', COM_PORTS[0], 8, [1], uart);
    return uart;
  });

  const timers: readonly TimerSource[] = [irqchip.pitTimer, acpi, rtc, ...uarts];
  const resetAll = (): void => {
    irqchip.reset();
    board.reset();
    acpi.reset();
    i8042.reset();
    pci.reset();
    chipset.reset();
    for (const fn of functions) fn.reset();
    // There is no firmware that would do it.
    pci.assignResources();
    for (const uart of uarts) uart.reset();
  };
  return {
    bus,
    clock,
    irqchip,
    timers: new TimerSet(timers),
    takeMail,
    exits: () => {
      const { ports, mmio } = bus.ranges;
      return [
        ...ports.map((range) => exitInfo(range, 'port')),
        ...mmio.map((range) => exitInfo(range, 'memory')),
        ...exits.counters.map((counter) => orderedExit(counter, options.functions)),
        ...options.functions.map((fn) => postedExit(fn, views)),
      ];
    },
    powerOn: () => {
      clock.reset();
      rtc.powerOn();
      resetAll();
    },
    reset: () => {
      rtc.reset();
      resetAll();
    },
  };
}

/** Of the accesses that were timed, what all of them take. */
function exitInfo(range: IoRange, space: ExitInfo['space']): ExitInfo {
  const { name, start, size, reads, writes, timed, timedMs } = range;
  const nanoseconds = timed === 0 ? 0 : Math.round(((reads + writes) * timedMs * 1e6) / timed);
  return { name, served: 'vcpu', space, start, size, reads, writes, nanoseconds };
}

/** What the device's thread was asked for, as a part of the accesses to the device's registers. */
function orderedExit(
  { device, operation, target, calls, waitedMs }: ExitCounter,
  functions: readonly VirtioFunction[],
): ExitInfo {
  const name = functions.find(({ slot }) => slot === device)?.name ?? `device ${device}`;
  return {
    name: `${name} ${OWNER_OPERATIONS[operation] ?? operation}`,
    served: 'ordered',
    space: 'thread',
    start: target,
    size: 0,
    reads: 0,
    writes: calls,
    nanoseconds: Math.round(waitedMs * 1e6),
  };
}

/** Kicks by doorbell. */
function postedExit({ name, slot, queues, thread }: VirtioFunction, views: Views): ExitInfo {
  const kicks = Array.from(
    { length: queues },
    (_, queue) => doorbellCounts(views, doorbellOf(slot, queue)).kicks,
  );
  return {
    name: `${name} kick`,
    served: 'posted',
    space: 'thread',
    start: thread,
    size: 0,
    reads: 0,
    writes: kicks.reduce((sum, count) => sum + count, 0),
    nanoseconds: 0,
  };
}

function debugExitOf(config: DebugExitConfig | undefined): {
  readonly debugExit?: { readonly port: number; readonly size: 1 | 2 | 4 };
} {
  if (config === undefined) return {};
  const { port, bytes } = config;
  return { debugExit: { port, size: bytes === 1 ? 1 : bytes === 2 ? 2 : 4 } };
}
