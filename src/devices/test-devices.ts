/** Fakes for device tests: a line that can be looked at, and a bus to put one device on. */
import type { InterruptLine } from '../irqchip/line.ts';
import { IoBus } from './io-bus.ts';

export class TestLine implements InterruptLine {
  asserted = false;
  edges = 0;

  set(asserted: boolean): void {
    if (asserted && !this.asserted) this.edges++;
    this.asserted = asserted;
  }
}

/** Byte accesses to the ports of one attached device. */
export function portsOf(device: { attach(bus: IoBus): void }) {
  const bus = new IoBus();
  device.attach(bus);
  return {
    bus,
    inb: (port: number) => bus.readPort(port, 1),
    outb: (port: number, value: number) => bus.writePort(port, value, 1),
    inw: (port: number) => bus.readPort(port, 2),
    outw: (port: number, value: number) => bus.writePort(port, value, 2),
    inl: (port: number) => bus.readPort(port, 4),
    outl: (port: number, value: number) => bus.writePort(port, value, 4),
  };
}
