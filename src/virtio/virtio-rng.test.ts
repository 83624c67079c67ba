import { describe, expect, it } from 'vitest';
import { ModernGuest, virtioBoard } from './test-board.ts';
import { VirtioRng } from './virtio-rng.ts';

const RING = 0x10000;
const BUFFER = 0x100000;

function rng(defer?: (task: () => void) => void) {
  let next = 0;
  const device = new VirtioRng({
    name: 'rng0',
    fill: (bytes) => bytes.forEach((_, at) => (bytes[at] = ++next)),
  });
  const board = virtioBoard(device, defer === undefined ? {} : { defer });
  const guest = new ModernGuest(board);
  guest.negotiate(0);
  const driver = guest.setQueue(0, { start: RING, size: 8 });
  guest.ready();
  return { ...board, guest, driver };
}

describe('virtio-rng (5.4)', () => {
  it('fills buffers', () => {
    const { driver, guest, ram } = rng();
    const head = driver.add(
      [],
      [
        { gpa: BUFFER, bytes: 2 },
        { gpa: BUFFER + 16, bytes: 3 },
      ],
    );
    guest.kick(0);
    expect(driver.takeUsed()).toEqual([{ id: head, len: 5 }]);
    expect(ram.slice(BUFFER, BUFFER + 20)).toEqual(
      Uint8Array.of(1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 4, 5, 0),
    );
  });

  it('fills a large buffer in part, and returns an empty one', () => {
    const { driver, guest } = rng();
    driver.add([], [{ gpa: BUFFER, bytes: 100_000 }]);
    driver.add([{ gpa: BUFFER, bytes: 4 }], []);
    guest.kick(0);
    expect(driver.takeUsed().map(({ len }) => len)).toEqual([4096, 0]);
  });

  it('has the identity of an entropy source', () => {
    expect(rng().guest.readConfig(2, 2)).toBe(0x1005);
  });
});
