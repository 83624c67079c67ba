/** Names refer to the sections of the Intel 8259A data sheet (231468-003). */
import { describe, expect, it } from 'vitest';
import { testBoard } from './test-board.ts';

type Board = ReturnType<typeof testBoard>;

/** ICW1-4 as every PC does: vectors 20h and 28h, slave on input 2, 8086 mode; all inputs unmasked. */
function initialised(icw4 = 0x01): Board & { write: (port: number, value: number) => void } {
  const board = testBoard();
  const write = (port: number, value: number) => board.irqchip.writePic(port, value);
  write(0x20, 0x11);
  write(0xa0, 0x11);
  write(0x21, 0x20);
  write(0xa1, 0x28);
  write(0x21, 0x04);
  write(0xa1, 0x02);
  write(0x21, icw4);
  write(0xa1, 0x01);
  write(0x21, 0);
  write(0xa1, 0);
  return { ...board, write };
}

describe('the 8259 pair', () => {
  it('delivers a master input with its vector', () => {
    const { irqchip } = initialised();
    irqchip.line(4).set(true);
    expect(irqchip.pendingVector(0)).toBe(0x24);
    expect(irqchip.acknowledge(0)).toBe(0x24);
    expect(irqchip.pendingVector(0)).toBe(-1);
  });

  it('delivers a slave input through the cascade, and both need an EOI', () => {
    const { irqchip, write } = initialised();
    irqchip.line(12).set(true);
    expect(irqchip.acknowledge(0)).toBe(0x2c);
    irqchip.line(12).set(false);
    write(0x20, 0x0b);
    write(0xa0, 0x0b);
    expect([irqchip.readPic(0x20), irqchip.readPic(0xa0)]).toEqual([0x04, 0x10]);
    write(0xa0, 0x20);
    write(0x20, 0x20);
    expect([irqchip.readPic(0x20), irqchip.readPic(0xa0)]).toEqual([0, 0]);
  });

  it('sets attention when a request comes, and when an EOI lets a lower one through', () => {
    const { irqchip, signalled, write } = initialised();
    irqchip.line(1).set(true);
    expect(signalled).toEqual([0]);
    irqchip.acknowledge(0);
    irqchip.line(5).set(true);
    expect(irqchip.pendingVector(0)).toBe(-1);
    expect(signalled).toEqual([0]);
    write(0x20, 0x20);
    expect(signalled).toEqual([0, 0]);
    expect(irqchip.pendingVector(0)).toBe(0x25);
  });

  it('nests: a higher request interrupts a lower one in service', () => {
    const { irqchip } = initialised();
    irqchip.line(5).set(true);
    irqchip.acknowledge(0);
    irqchip.line(1).set(true);
    expect(irqchip.acknowledge(0)).toBe(0x21);
  });

  it('holds a masked input until it is unmasked', () => {
    const { irqchip, write } = initialised();
    write(0x21, 0x10);
    irqchip.line(4).set(true);
    expect(irqchip.pendingVector(0)).toBe(-1);
    write(0x21, 0x00);
    expect(irqchip.pendingVector(0)).toBe(0x24);
  });

  it('makes one request of one edge', () => {
    const { irqchip, write } = initialised();
    const line = irqchip.line(4);
    line.set(true);
    irqchip.acknowledge(0);
    write(0x20, 0x20);
    expect(irqchip.pendingVector(0)).toBe(-1);
    line.set(false);
    line.set(true);
    expect(irqchip.pendingVector(0)).toBe(0x24);
  });

  it('keeps asking for a level input until it falls (ELCR)', () => {
    const { irqchip, write } = initialised();
    write(0x4d1, 0x04);
    const line = irqchip.line(10);
    line.set(true);
    irqchip.acknowledge(0);
    write(0xa0, 0x20);
    write(0x20, 0x20);
    expect(irqchip.acknowledge(0)).toBe(0x2a);
    line.set(false);
    write(0xa0, 0x20);
    write(0x20, 0x20);
    expect(irqchip.pendingVector(0)).toBe(-1);
  });

  it('does not let timer, keyboard, cascade and RTC be level inputs', () => {
    const { irqchip, write } = initialised();
    write(0x4d0, 0xff);
    write(0x4d1, 0xff);
    expect([irqchip.readPic(0x4d0), irqchip.readPic(0x4d1)]).toEqual([0xf8, 0xde]);
  });

  it('answers with IRQ 15, cascade in service, when a slave request has gone', () => {
    const { irqchip, write } = initialised();
    write(0x4d1, 0x04);
    const line = irqchip.line(10);
    line.set(true);
    // The cascade is latched by its edge; the slave's level request then falls.
    line.set(false);
    expect(irqchip.acknowledge(0)).toBe(0x2f);
    write(0x20, 0x0b);
    write(0xa0, 0x0b);
    expect([irqchip.readPic(0x20), irqchip.readPic(0xa0)]).toEqual([0x04, 0x00]);
  });

  it('clears the in-service bit by itself in automatic EOI mode', () => {
    const { irqchip } = initialised(0x03);
    irqchip.line(4).set(true);
    irqchip.acknowledge(0);
    irqchip.line(7).set(true);
    expect(irqchip.pendingVector(0)).toBe(0x27);
  });

  it('rotates priorities on a rotating EOI', () => {
    const { irqchip, write } = initialised();
    irqchip.line(3).set(true);
    irqchip.acknowledge(0);
    write(0x20, 0xa0);
    irqchip.line(1).set(true);
    irqchip.line(4).set(true);
    expect(irqchip.acknowledge(0)).toBe(0x24);
  });

  it('takes a priority order by command', () => {
    const { irqchip, write } = initialised();
    write(0x20, 0xc0 | 4);
    irqchip.line(1).set(true);
    irqchip.line(5).set(true);
    expect(irqchip.acknowledge(0)).toBe(0x25);
  });

  it('ends exactly the input that a specific EOI names', () => {
    const { irqchip, write } = initialised();
    irqchip.line(5).set(true);
    irqchip.acknowledge(0);
    irqchip.line(3).set(true);
    irqchip.acknowledge(0);
    write(0x20, 0x60 | 5);
    write(0x20, 0x0b);
    expect(irqchip.readPic(0x20)).toBe(0x08);
  });

  it('lets lower inputs through in special mask mode', () => {
    const { irqchip, write } = initialised();
    irqchip.line(1).set(true);
    irqchip.acknowledge(0);
    irqchip.line(6).set(true);
    expect(irqchip.pendingVector(0)).toBe(-1);
    write(0x20, 0x68);
    write(0x21, 0x02);
    expect(irqchip.pendingVector(0)).toBe(0x26);
  });

  it('answers a poll with the input, and serves it', () => {
    const { irqchip, write } = initialised();
    irqchip.line(4).set(true);
    write(0x20, 0x0c);
    expect(irqchip.readPic(0x20)).toBe(0x84);
    write(0x20, 0x0b);
    expect(irqchip.readPic(0x20)).toBe(0x10);
    write(0x20, 0x0c);
    expect(irqchip.readPic(0x20) & 0x80).toBe(0);
  });

  it('reads back masks, requests and what is in service', () => {
    const { irqchip, write } = initialised();
    write(0x21, 0xfb);
    irqchip.line(6).set(true);
    expect(irqchip.readPic(0x21)).toBe(0xfb);
    write(0x20, 0x0a);
    expect(irqchip.readPic(0x20)).toBe(0x40);
  });
});
