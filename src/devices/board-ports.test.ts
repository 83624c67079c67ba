import { describe, expect, it } from 'vitest';
import { timedMemory } from '../time/manual-time.ts';
import { A20Gate, BoardPorts } from './board-ports.ts';
import { portsOf } from './test-devices.ts';

function board(debugExit?: { port: number; size: 1 | 2 | 4 }) {
  const { views } = timedMemory();
  const asked: string[] = [];
  const requests = {
    reset: () => asked.push('reset'),
    powerOff: () => asked.push('power off'),
    debugExit: (status: number) => asked.push(`exit ${status}`),
    setA20: () => {},
  };
  const a20 = new A20Gate(views, (enabled) => asked.push(`a20 ${enabled}`));
  const ports = new BoardPorts({ views, requests, a20, ...(debugExit === undefined ? {} : { debugExit }) });
  ports.reset();
  asked.length = 0;
  return { ports, asked, ...portsOf(ports) };
}

describe('port 92h', () => {
  it('switches A20', () => {
    const { asked, inb, outb } = board();
    expect(inb(0x92)).toBe(2);
    outb(0x92, 0);
    outb(0x92, 2);
    expect(asked).toEqual(['a20 false', 'a20 true']);
  });

  it('resets when bit 0 goes from 0 to 1', () => {
    const { asked, outb } = board();
    outb(0x92, 3);
    outb(0x92, 3);
    expect(asked).toEqual(['reset']);
  });
});

describe('the reset control register', () => {
  it('resets on bit 2 and reads back bit 1', () => {
    const { asked, inb, outb } = board();
    outb(0xcf9, 0x02);
    expect(asked).toEqual([]);
    outb(0xcf9, 0x06);
    expect(asked).toEqual(['reset']);
    expect(inb(0xcf9)).toBe(0x02);
  });
});

describe('debug exit', () => {
  it.each([
    [0, 1],
    [0x10, 0x21],
    [0x31, 0x63],
  ])('turns %d into exit status %d', (value, status) => {
    const { asked, outl } = board({ port: 0xf4, size: 4 });
    outl(0xf4, value);
    expect(asked).toEqual([`exit ${status}`]);
  });

  it('takes a byte as well', () => {
    const { asked, outb } = board({ port: 0xf4, size: 4 });
    outb(0xf4, 1);
    expect(asked).toEqual(['exit 3']);
  });

  it('is not there unless asked for', () => {
    const { asked, outb, inb } = board();
    outb(0xf4, 1);
    expect(asked).toEqual([]);
    expect(inb(0xf4)).toBe(0xff);
  });
});

describe('port 80h', () => {
  it('keeps the last code', () => {
    const { ports, outb } = board();
    outb(0x80, 0x7f);
    expect(ports.postCode).toBe(0x7f);
  });
});
