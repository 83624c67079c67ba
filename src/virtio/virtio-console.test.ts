import { describe, expect, it } from 'vitest';
import { ModernGuest, virtioBoard } from './test-board.ts';
import { VirtioConsole } from './virtio-console.ts';

const RING = 0x10000;
const RING1 = 0x20000;
const BUFFER = 0x100000;
const OUTPUT = 0x110000;

/** A terminal with room for so many characters. */
class TestTerminal {
  output = '';
  input = '';
  room = Infinity;

  write(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.room);
    this.output += String.fromCharCode(...bytes.subarray(0, taken));
    this.room -= taken;
    return taken;
  }

  read(limit: number): Uint8Array {
    const bytes = Uint8Array.from(this.input.slice(0, limit), (character) => character.charCodeAt(0));
    this.input = this.input.slice(limit);
    return bytes;
  }
}

function terminal() {
  const backend = new TestTerminal();
  const device = new VirtioConsole({ name: 'console0', backend });
  const board = virtioBoard(device);
  const guest = new ModernGuest(board);
  guest.negotiate(1);
  const receive = guest.setQueue(0, { start: RING, size: 8 });
  const transmit = guest.setQueue(1, { start: RING1, size: 8 });
  guest.ready();
  const say = (text: string, at = OUTPUT) => {
    board.ram.set(
      Uint8Array.from(text, (character) => character.charCodeAt(0)),
      at,
    );
    transmit.add([{ gpa: at, bytes: text.length }], []);
    guest.kick(1);
  };
  const heard = (bytes: number) => String.fromCharCode(...board.ram.subarray(BUFFER, BUFFER + bytes));
  return { ...board, backend, device, guest, receive, transmit, say, heard };
}

describe('virtio-console (5.3)', () => {
  it('prints what the guest sends', () => {
    const { backend, transmit, say } = terminal();
    say('hello ');
    say('world', OUTPUT + 100);
    expect([backend.output, transmit.takeUsed().map(({ len }) => len)]).toEqual(['hello world', [0, 0]]);
  });

  it('keeps a buffer until the terminal has taken all of it', () => {
    const { backend, device, transmit, say } = terminal();
    backend.room = 3;
    say('hello');
    say('!', OUTPUT + 100);
    const before = [backend.output, transmit.takeUsed().length];
    backend.room = 100;
    device.outputReady();
    expect([before, backend.output, transmit.takeUsed().length]).toEqual([['hel', 0], 'hello!', 2]);
  });

  it('gives input to the guest, and keeps what finds no buffer', () => {
    const { backend, device, guest, receive, heard } = terminal();
    backend.input = 'abcdefgh';
    device.inputReady();
    receive.add([], [{ gpa: BUFFER, bytes: 5 }]);
    guest.kick(0);
    expect([receive.takeUsed().map(({ len }) => len), heard(5), backend.input]).toEqual([
      [5],
      'abcde',
      'fgh',
    ]);
    receive.add([], [{ gpa: BUFFER, bytes: 5 }]);
    guest.kick(0);
    expect([receive.takeUsed().map(({ len }) => len), heard(3)]).toEqual([[3], 'fgh']);
  });

  it('keeps buffers while there is no input', () => {
    const { backend, device, guest, receive, heard, line } = terminal();
    receive.add([], [{ gpa: BUFFER, bytes: 5 }]);
    guest.kick(0);
    const before = [receive.takeUsed().length, line.asserted];
    backend.input = 'x';
    device.inputReady();
    expect([before, receive.takeUsed().map(({ len }) => len), heard(1), line.asserted]).toEqual([
      [0, false],
      [1],
      'x',
      true,
    ]);
  });

  it('tells its size, and a change of it', () => {
    const { device, guest } = terminal();
    const before = guest.readDevice(0, 4);
    device.resize({ columns: 132, rows: 43 });
    expect([before, guest.readDevice(0, 2), guest.readDevice(2, 2), guest.readIsr()]).toEqual([
      0x00190050, 132, 43, 2,
    ]);
  });

  it('prints a character of emergency without a driver', () => {
    const { backend, guest } = terminal();
    guest.status = 0;
    guest.writeDevice(8, 0x41, 4);
    expect(backend.output).toBe('A');
  });

  it('forgets a buffer that waits when it is reset', () => {
    const { backend, device, guest, say } = terminal();
    backend.room = 0;
    say('lost');
    guest.status = 0;
    backend.room = 100;
    device.outputReady();
    expect([guest.status, backend.output]).toEqual([0, '']);
  });
});
