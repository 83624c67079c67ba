/** Names refer to the PC16550D data sheet. */
import { describe, expect, it } from 'vitest';
import { RING } from '../layout/machine.ts';
import { ByteRing, createRing } from '../sync/ring.ts';
import { timedMemory } from '../time/manual-time.ts';
import { Uart } from './uart.ts';

const OUTPUT = 0x10000;
const INPUT = 0x20000;
const DATA = 0;
const IER = 1;
const IIR = 2;
const FCR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;

const text = (characters: string) => new TextEncoder().encode(characters);

function uartBoard(outputBytes = 64) {
  const { views, time, clock } = timedMemory();
  createRing(views, OUTPUT, outputBytes);
  createRing(views, INPUT, 0x4000);
  const output = new ByteRing(views, OUTPUT);
  const input = new ByteRing(views, INPUT);
  const line = { asserted: false, edges: 0 };
  const woken = { count: 0 };
  const uart = new Uart({
    views,
    clock,
    index: 0,
    line: {
      set(asserted) {
        if (asserted && !line.asserted) line.edges++;
        line.asserted = asserted;
      },
    },
    output,
    input,
    onOutput: () => woken.count++,
  });
  uart.reset();
  const advance = (ns: number) => {
    time.advance(ns);
    uart.expire(clock.now());
  };
  return { uart, output, input, line, woken, advance, views };
}

/** FIFOs on with trigger level 8, DTR RTS OUT2, the given interrupts: what Linux does. */
function opened(interrupts: number, outputBytes?: number) {
  const board = uartBoard(outputBytes);
  board.uart.write(FCR, 0x81);
  board.uart.write(MCR, 0x0b);
  board.uart.write(IER, interrupts);
  return board;
}

/** Reads while LSR says that there is data; returns how many bytes that were. */
function readAll(uart: Uart): number {
  let count = 0;
  while ((uart.read(LSR) & 1) !== 0) {
    uart.read(DATA);
    count++;
  }
  return count;
}

describe('the 16550A', () => {
  it('has the reset state of table I', () => {
    const { uart } = uartBoard();
    expect([IER, IIR, LCR, MCR, LSR, MSR].map((register) => uart.read(register))).toEqual([
      0, 1, 0, 0, 0x60, 0xb0,
    ]);
  });

  it('shows the divisor behind DLAB and keeps the scratch register', () => {
    const { uart } = uartBoard();
    uart.write(LCR, 0x83);
    uart.write(DATA, 0x34);
    uart.write(IER, 0x12);
    uart.write(7, 0xa5);
    expect([uart.read(DATA), uart.read(IER), uart.read(7)]).toEqual([0x34, 0x12, 0xa5]);
    uart.write(LCR, 0x03);
    expect(uart.read(IER)).toBe(0);
  });

  it('says in IIR that its FIFOs are on: how drivers tell a 16550A', () => {
    const { uart } = uartBoard();
    uart.write(FCR, 0x01);
    expect(uart.read(IIR) & 0xc0).toBe(0xc0);
    uart.write(FCR, 0x00);
    expect(uart.read(IIR) & 0xc0).toBe(0);
  });

  it('loops data and modem lines back in diagnostic mode', () => {
    const { uart, output } = uartBoard();
    uart.write(MCR, 0x1a);
    expect(uart.read(MSR) & 0xf0).toBe(0x90);
    uart.write(DATA, 0x55);
    expect(uart.read(LSR) & 1).toBe(1);
    expect(uart.read(DATA)).toBe(0x55);
    expect(output.length).toBe(0);
  });

  it('reports changed modem lines once', () => {
    const { uart } = uartBoard();
    uart.write(MCR, 0x10);
    expect(uart.read(MSR)).toBe(0x0b);
    expect(uart.read(MSR)).toBe(0x00);
  });
});

describe('transmitting', () => {
  it('puts bytes into the ring and wakes the page', () => {
    const { uart, output, woken } = uartBoard();
    uart.write(DATA, 0x48);
    uart.write(DATA, 0x69);
    expect([...output.pop(8)]).toEqual([0x48, 0x69]);
    expect(woken.count).toBe(2);
    expect(uart.read(LSR)).toBe(0x60);
  });

  it('interrupts when enabled while empty, until IIR is read', () => {
    const { uart, line } = opened(0x02);
    expect(line.asserted).toBe(true);
    expect(uart.read(IIR)).toBe(0xc2);
    expect(line.asserted).toBe(false);
    expect(uart.read(IIR)).toBe(0xc1);
    uart.write(DATA, 0x41);
    expect(line.asserted).toBe(true);
  });

  it('does not interrupt while OUT2 is off', () => {
    const { uart, line } = opened(0x02);
    uart.write(MCR, 0x03);
    expect(line.asserted).toBe(false);
  });

  it('keeps THRE clear while the ring is full, and loses nothing', () => {
    const { uart, output, line, advance } = opened(0x02, 4);
    text('abcdefgh').forEach((byte) => uart.write(DATA, byte));
    expect(uart.read(LSR) & 0x60).toBe(0);
    expect(line.asserted).toBe(false);
    expect(new TextDecoder().decode(output.pop(4))).toBe('abcd');
    advance(1_000_000);
    expect(new TextDecoder().decode(output.pop(4))).toBe('efgh');
    expect(uart.read(LSR) & 0x60).toBe(0x60);
    expect(line.asserted).toBe(true);
    expect(uart.nextDeadline()).toBe(Infinity);
  });

  it('counts a character that a guest without flow control loses', () => {
    const { uart, output, views } = opened(0, 4);
    Array.from({ length: 21 }, (_, n) => uart.write(DATA, n));
    expect(views.u32[(OUTPUT + RING.at.dropped) >>> 2]).toBe(1);
    expect(output.length).toBe(4);
  });
});

describe('receiving', () => {
  it('interrupts with a timeout for fewer characters than the trigger level', () => {
    const { uart, input, line, advance } = opened(0x01);
    input.push(text('ls'));
    expect(uart.nextDeadline()).toBe(0);
    advance(1);
    expect(line.asserted).toBe(true);
    expect(uart.read(IIR)).toBe(0xcc);
    expect([uart.read(DATA), uart.read(DATA)]).toEqual([0x6c, 0x73]);
    expect(line.asserted).toBe(false);
    expect(uart.read(LSR) & 1).toBe(0);
  });

  it('interrupts at the trigger level', () => {
    const { uart, input, advance } = opened(0x01);
    input.push(text('12345678'));
    advance(1);
    expect(uart.read(IIR)).toBe(0xc4);
  });

  it('takes a paste in bursts of 16 and loses nothing of it', () => {
    const { uart, input, advance } = opened(0x01);
    const paste = text('x'.repeat(1000));
    input.push(paste);
    const bursts = Array.from({ length: 100 }, () => {
      advance(250_000);
      return readAll(uart);
    });
    expect(Math.max(...bursts)).toBe(16);
    expect(bursts.reduce((sum, burst) => sum + burst)).toBe(1000);
    expect(uart.nextDeadline()).toBe(Infinity);
  });

  it('leaves input in the ring while the FIFO is full', () => {
    const { uart, input, advance } = opened(0x01);
    input.push(text('x'.repeat(40)));
    advance(1_000_000);
    advance(1_000_000);
    expect(input.length).toBe(24);
    expect(uart.read(LSR) & 2).toBe(0);
    expect(uart.nextDeadline()).toBe(Infinity);
  });

  it('waits while a guest that uses RTS has taken it back', () => {
    const { uart, input, advance } = opened(0x01);
    uart.write(MCR, 0x09);
    input.push(text('hold'));
    advance(1_000_000);
    expect(uart.read(LSR) & 1).toBe(0);
    uart.write(MCR, 0x0b);
    advance(1);
    expect(uart.read(LSR) & 1).toBe(1);
  });

  it('takes one character at a time without FIFOs', () => {
    const { uart, input, advance } = uartBoard();
    uart.write(MCR, 0x0b);
    uart.write(IER, 0x01);
    input.push(text('ab'));
    advance(1);
    expect(uart.read(IIR)).toBe(0x04);
    expect(uart.read(DATA)).toBe(0x61);
    advance(20_000);
    expect(uart.read(DATA)).toBe(0x62);
  });

  it('empties its FIFO on command', () => {
    const { uart, input, advance } = opened(0x01);
    input.push(text('abc'));
    advance(1);
    uart.write(FCR, 0x83);
    expect(uart.read(LSR) & 1).toBe(0);
  });
});
