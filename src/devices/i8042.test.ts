import { describe, expect, it } from 'vitest';
import { timedMemory } from '../time/manual-time.ts';
import { A20Gate } from './board-ports.ts';
import { I8042Controller } from './i8042.ts';
import type { Ps2Device } from './i8042.ts';
import { portsOf, TestLine } from './test-devices.ts';

/** A keyboard that acknowledges everything. */
class TestKeyboard implements Ps2Device {
  readonly received: number[] = [];
  readonly queue: number[] = [];

  receive(byte: number): void {
    this.received.push(byte);
    this.queue.push(0xfa);
  }

  next(): number {
    return this.queue.shift() ?? -1;
  }
}

function controllerBoard(keyboard?: TestKeyboard) {
  const { views } = timedMemory();
  const keyboardLine = new TestLine();
  const mouseLine = new TestLine();
  const asked: string[] = [];
  const a20 = new A20Gate(views, (enabled) => asked.push(`a20 ${enabled}`));
  const controller = new I8042Controller({
    views,
    keyboardLine,
    mouseLine,
    a20,
    reset: () => asked.push('reset'),
    ...(keyboard === undefined ? {} : { keyboard }),
    translate: (byte) => byte ^ 0x80,
  });
  controller.reset();
  const { inb, outb } = portsOf(controller);
  const command = (value: number, ...data: number[]) => {
    outb(0x64, value);
    data.forEach((byte) => outb(0x60, byte));
  };
  return { controller, keyboardLine, mouseLine, asked, inb, outb, command };
}

describe('the keyboard controller', () => {
  it('passes its self-test and both interface tests', () => {
    const { command, inb } = controllerBoard();
    const answer = (value: number) => {
      command(value);
      return [inb(0x64) & 1, inb(0x60)];
    };
    expect([answer(0xaa), answer(0xab), answer(0xa9)]).toEqual([
      [1, 0x55],
      [1, 0x00],
      [1, 0x00],
    ]);
    expect(inb(0x64) & 1).toBe(0);
  });

  it('reads back its command byte', () => {
    const { command, inb } = controllerBoard();
    command(0x60, 0x74);
    command(0x20);
    expect(inb(0x60)).toBe(0x74);
  });

  it('switches the second port by command, which the command byte shows', () => {
    const { command, inb } = controllerBoard();
    command(0xa7);
    command(0x20);
    expect(inb(0x60) & 0x20).toBe(0x20);
    command(0xa8);
    command(0x20);
    expect(inb(0x60) & 0x20).toBe(0);
  });

  it('answers for a keyboard that is not there at once, with the timeout bit', () => {
    const { outb, inb } = controllerBoard();
    outb(0x60, 0xf2);
    expect(inb(0x64) & 0x61).toBe(0x41);
    expect(inb(0x60)).toBe(0xfe);
  });

  it('answers for a mouse that is not there, from the second port', () => {
    const { command, inb, mouseLine } = controllerBoard();
    command(0x60, 0x02);
    command(0xd4, 0xf2);
    expect(mouseLine.asserted).toBe(true);
    expect(inb(0x64) & 0x61).toBe(0x61);
    expect(inb(0x60)).toBe(0xfe);
    expect(mouseLine.asserted).toBe(false);
  });

  it('loops a byte back as if from the second port: how Linux looks for one', () => {
    const { command, inb } = controllerBoard();
    command(0xd3, 0x5a);
    expect(inb(0x64) & 0x21).toBe(0x21);
    expect(inb(0x60)).toBe(0x5a);
  });

  it('passes bytes to an attached keyboard and interrupts for each answer', () => {
    const keyboard = new TestKeyboard();
    const { command, outb, inb, keyboardLine } = controllerBoard(keyboard);
    command(0x60, 0x01);
    outb(0x60, 0xed);
    outb(0x60, 0x02);
    expect(keyboard.received).toEqual([0xed, 0x02]);
    expect(keyboardLine.edges).toBe(1);
    expect(inb(0x60)).toBe(0xfa);
    expect(keyboardLine.edges).toBe(2);
    expect(inb(0x60)).toBe(0xfa);
    expect(keyboardLine.asserted).toBe(false);
  });

  it('translates scan codes when told, and holds them while the port is off', () => {
    const keyboard = new TestKeyboard();
    const { controller, command, inb } = controllerBoard(keyboard);
    command(0x60, 0x50);
    keyboard.queue.push(0x1c);
    controller.poll();
    expect(inb(0x64) & 1).toBe(0);
    command(0xae);
    expect(inb(0x60)).toBe(0x9c);
  });

  it.each([
    ['a pulse on output bit 0', 0xfe, []],
    ['a pulse on all bits', 0xf0, []],
    ['the output port with bit 0 clear', 0xd1, [0x02]],
  ])('resets the machine by %s', (_, value, data) => {
    const { command, asked } = controllerBoard();
    command(value, ...data);
    expect(asked.at(-1)).toBe('reset');
  });

  it('switches A20 by the output port and by command', () => {
    const { command, asked, inb } = controllerBoard();
    command(0xd1, 0x03);
    command(0xd0);
    expect(inb(0x60)).toBe(0x03);
    command(0xdd);
    command(0xdf);
    expect(asked).toEqual(['a20 true', 'a20 false', 'a20 true']);
  });
});
