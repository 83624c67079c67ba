/** Names refer to PCI Local Bus Specification 3.0, chapters 3 and 6. */
import { describe, expect, it } from 'vitest';
import { timedMemory } from '../../time/manual-time.ts';
import type { IoHandler } from '../io-bus.ts';
import { portsOf, TestLine } from '../test-devices.ts';
import { PciBus } from './bus.ts';
import { addI440fx } from './i440fx.ts';

const identity = { vendor: 0x1af4, device: 0x1041, revision: 1, classCode: 0x020000, interruptPin: 1 };

const quiet: IoHandler = { read: (offset) => offset, write: () => {} };

function pciBoard() {
  const { views } = timedMemory();
  const lines = new Map<number, TestLine>();
  const pci = new PciBus({
    views,
    line: (gsi) => {
      const line = new TestLine();
      lines.set(gsi, line);
      return line;
    },
  });
  const chipset = addI440fx(pci);
  const written: string[] = [];
  const card = pci
    .add(3, 0, 'card', identity)
    .addBar({
      index: 0,
      kind: 'port',
      size: 32,
      handler: { ...quiet, write: (at, value) => written.push(`io ${at}=${value}`) },
    })
    .addBar({
      index: 1,
      kind: 'memory',
      size: 0x1000,
      handler: { ...quiet, write: (at, value) => written.push(`mem ${at}=${value}`) },
    })
    .addCapability({ id: 0x05, body: Uint8Array.of(0x80, 0, 0, 0, 0, 0), writable: Uint8Array.of(1, 0) })
    .addCapability({ id: 0x09, body: Uint8Array.of(4, 7) });
  pci.reset();
  chipset.reset();
  const ports = portsOf(pci);
  const select = (device: number, fn: number, register: number) =>
    ports.outl(0xcf8, 0x80000000 | (device << 11) | (fn << 8) | (register & 0xfc));
  const read = (device: number, fn: number, register: number) => {
    select(device, fn, register);
    return ports.inl(0xcfc);
  };
  const write = (device: number, fn: number, register: number, value: number) => {
    select(device, fn, register);
    ports.outl(0xcfc, value);
  };
  return { pci, card, lines, written, read, write, select, ...ports };
}

describe('configuration mechanism #1', () => {
  it('reads back the address', () => {
    const { inl, outl } = pciBoard();
    outl(0xcf8, 0x80001234);
    expect(inl(0xcf8)).toBe(0x80001234);
  });

  it('reads all ones where no function is', () => {
    const { read, inl, outl } = pciBoard();
    expect(read(9, 0, 0)).toBe(0xffffffff);
    outl(0xcf8, 0x80010000);
    expect(inl(0xcfc)).toBe(0xffffffff);
    outl(0xcf8, 0x00000000);
    expect(inl(0xcfc)).toBe(0xffffffff);
  });

  it('has no extended configuration space', () => {
    const { inl, outl } = pciBoard();
    outl(0xcf8, 0x81000000);
    expect(inl(0xcfc)).toBe(0xffffffff);
  });

  it('reads parts of a register', () => {
    const { select, inb, inw } = pciBoard();
    select(3, 0, 0);
    expect([inw(0xcfc), inw(0xcfe), inb(0xcfd)]).toEqual([0x1af4, 0x1041, 0x1a]);
  });
});

describe('the chipset', () => {
  it.each([
    ['host bridge', 0, 0, 0x12378086, 0x060000],
    ['ISA bridge', 1, 0, 0x70008086, 0x060100],
    ['power management', 1, 3, 0x71138086, 0x068000],
  ])('has the %s', (_, device, fn, id, classCode) => {
    const { read } = pciBoard();
    expect(read(device, fn, 0)).toBe(id);
    expect(read(device, fn, 8) >>> 8).toBe(classCode);
  });

  it('says that device 1 has several functions', () => {
    const { read } = pciBoard();
    expect((read(1, 0, 0x0c) >>> 16) & 0xff).toBe(0x80);
  });

  it('says where the power management block is', () => {
    const { read } = pciBoard();
    expect(read(1, 3, 0x40)).toBe(0x601);
  });
});

describe('a function', () => {
  it('tells the size of a BAR', () => {
    const { read, write } = pciBoard();
    write(3, 0, 0x10, 0xffffffff);
    write(3, 0, 0x14, 0xffffffff);
    write(3, 0, 0x18, 0xffffffff);
    expect([read(3, 0, 0x10), read(3, 0, 0x14), read(3, 0, 0x18)]).toEqual([0xffffffe1, 0xfffff000, 0]);
  });

  it('decodes a BAR where the guest puts it, while decoding is enabled', () => {
    const { write, outb, bus, written } = pciBoard();
    write(3, 0, 0x10, 0xc020);
    write(3, 0, 0x14, 0xe0000000);
    outb(0xc024, 1);
    write(3, 0, 0x04, 3);
    outb(0xc024, 2);
    bus.writeMmio(0xe0000010, 3, 4);
    write(3, 0, 0x14, 0xe0001000);
    bus.writeMmio(0xe0000010, 4, 4);
    bus.writeMmio(0xe0001010, 5, 4);
    expect(written).toEqual(['io 4=2', 'mem 16=3', 'mem 16=5']);
  });

  it('links its capabilities and lets the guest write what is writable in them', () => {
    const { read, write } = pciBoard();
    expect((read(3, 0, 0x04) >>> 20) & 1).toBe(1);
    expect(read(3, 0, 0x34) & 0xff).toBe(0x40);
    expect(read(3, 0, 0x40)).toBe(0x00804805);
    expect(read(3, 0, 0x48)).toBe(0x07040009);
    write(3, 0, 0x40, 0xffffffff);
    expect(read(3, 0, 0x40)).toBe(0x00814805);
  });

  it('keeps identity and class read-only', () => {
    const { read, write } = pciBoard();
    write(3, 0, 0x00, 0);
    write(3, 0, 0x08, 0);
    expect([read(3, 0, 0x00), read(3, 0, 0x08)]).toEqual([0x10411af4, 0x02000001]);
  });

  it('drives INTx unless the command register disables it, and shows it in the status', () => {
    const { pci, card, lines, read, write } = pciBoard();
    const line = lines.get(11)!;
    pci.locked(() => card.setInterrupt(true));
    expect([line.asserted, (read(3, 0, 0x04) >>> 19) & 1]).toEqual([true, 1]);
    write(3, 0, 0x04, 0x400);
    expect([line.asserted, (read(3, 0, 0x04) >>> 19) & 1]).toEqual([false, 1]);
    write(3, 0, 0x04, 0);
    expect(line.asserted).toBe(true);
    pci.locked(() => card.setInterrupt(false));
    expect(line.asserted).toBe(false);
  });

  it('gets addresses and an interrupt line from us when there is no firmware', () => {
    const { pci, read, outb, written } = pciBoard();
    pci.assignResources();
    expect([read(3, 0, 0x10), read(3, 0, 0x14)]).toEqual([0xc001, 0xc0000000]);
    expect(read(3, 0, 0x3c) & 0xffff).toBe(0x010b);
    outb(0xc000, 9);
    expect(written).toEqual(['io 0=9']);
  });
});
