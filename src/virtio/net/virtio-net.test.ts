/** Sections refer to virtio 1.2. */
import { describe, expect, it } from 'vitest';
import { Hub } from '../../net/hub.ts';
import { NO_OFFLOAD } from '../../net/net-backend.ts';
import type { Frame } from '../../net/net-backend.ts';
import {
  BROADCAST,
  ethernet,
  isIntact,
  MAC_A,
  MAC_B,
  pattern,
  tcpFrame,
  TestReceiver,
} from '../../net/test-frames.ts';
import { LegacyGuest, ModernGuest, virtioBoard } from '../test-board.ts';
import type { TestDriver } from '../test-driver.ts';
import { VirtioNet } from './virtio-net.ts';
import type { VirtioNetOptions } from './virtio-net.ts';

const RX = 0x10000;
const TX = 0x20000;
const CTRL = 0x30000;
const TX_BUFFER = 0x100000;
const RX_BUFFERS = 0x120000;
const COMMAND = 0x1f0000;

const CSUM = 1 << 0;
const GUEST_CSUM = 1 << 1;
const CTRL_GUEST_OFFLOADS = 1 << 2;
const GUEST_TSO4 = 1 << 7;
const HOST_TSO4 = 1 << 11;
const MRG_RXBUF = 1 << 15;
const CTRL_VQ = 1 << 17;
const CTRL_RX = 1 << 18;
const CTRL_VLAN = 1 << 19;
const CTRL_RX_EXTRA = 1 << 20;
const CTRL_MAC_ADDR = 1 << 23;

/** A card on a hub with a test's receiver at the other end. */
function card(
  features = 0,
  options: Partial<VirtioNetOptions> = {},
  boardOptions: Parameters<typeof virtioBoard>[1] = {},
) {
  const hub = new Hub();
  const peer = new TestReceiver();
  peer.supports = { checksum: true, tcp4: true, tcp6: true, ecn: true };
  const wire = hub.connect(peer, 'peer');
  const device = new VirtioNet({ name: 'net0', backend: hub, mac: MAC_A, queueSize: 16, ...options });
  const board = virtioBoard(device, boardOptions);
  const guest = new ModernGuest(board);
  guest.negotiate(features);
  const receive = guest.setQueue(0, { start: RX, size: 16 });
  const transmit = guest.setQueue(1, { start: TX, size: 16 });
  const control = guest.setQueue(2, { start: CTRL, size: 16 });
  guest.ready();
  const send = (bytes: Uint8Array, header: readonly number[] = []) => {
    board.ram.fill(0, TX_BUFFER, TX_BUFFER + 12);
    board.ram.set(header, TX_BUFFER);
    board.ram.set(bytes, TX_BUFFER + 12);
    transmit.add([{ gpa: TX_BUFFER, bytes: 12 + bytes.length }], []);
    guest.kick(1);
    return transmit.takeUsed().length;
  };
  const command = (kind: number, which: number, data: readonly number[]) => {
    board.ram.set([kind, which, ...data], COMMAND);
    board.ram[COMMAND + 0x800] = 0xee;
    control.add([{ gpa: COMMAND, bytes: 2 + data.length }], [{ gpa: COMMAND + 0x800, bytes: 1 }]);
    guest.kick(2);
    control.takeUsed();
    return board.ram[COMMAND + 0x800];
  };
  const offer = (count: number, bytes: number, driver: TestDriver = receive) => {
    for (let n = 0; n < count; n++) driver.add([], [{ gpa: RX_BUFFERS + n * 0x1000, bytes }]);
    guest.kick(0);
  };
  const arrive = (...frames: Frame[]) => {
    for (const frame of frames) wire.send(frame);
    wire.sendDone();
  };
  const bytesAt = (buffer: number, bytes: number) =>
    board.ram.slice(RX_BUFFERS + buffer * 0x1000, RX_BUFFERS + buffer * 0x1000 + bytes);
  return {
    ...board,
    peer,
    wire,
    device,
    guest,
    receive,
    transmit,
    control,
    send,
    command,
    offer,
    arrive,
    bytesAt,
  };
}

const plain = (bytes: Uint8Array<ArrayBuffer>): Frame => ({ bytes, offload: NO_OFFLOAD });
const packet = (to: Uint8Array, bytes = 46, type = 0x88b5) =>
  plain(ethernet(to, MAC_B, type, pattern(bytes)));

describe('the configuration (5.1.4)', () => {
  it('has MAC, link, pairs and MTU', () => {
    const { guest } = card(0, { pairs: 2, mtu: 1400 });
    expect([guest.readDevice(0, 4), guest.readDevice(4, 2)]).toEqual([0x00005452, 0xaa00]);
    expect([guest.readDevice(6, 2), guest.readDevice(8, 2), guest.readDevice(10, 2)]).toEqual([1, 2, 1400]);
    expect(guest.read(18, 2)).toBe(5);
  });

  it('leaves out features that the user does not want', () => {
    const { guest } = card(0, { without: [15, 11] });
    const [low] = guest.offered();
    expect([low & MRG_RXBUF, low & HOST_TSO4, low & CSUM]).toEqual([0, 0, CSUM]);
  });

  it('tells when the cable is pulled', () => {
    const { device, guest, peer, send, arrive, offer, receive } = card();
    offer(1, 2000);
    device.setLink(false);
    expect([guest.readDevice(6, 2), guest.readIsr()]).toEqual([0, 2]);
    arrive(packet(MAC_A));
    expect([send(packet(MAC_B).bytes), peer.frames.length, receive.takeUsed().length]).toEqual([1, 0, 0]);
    device.setLink(true);
    arrive(packet(MAC_A));
    expect([guest.readDevice(6, 2), receive.takeUsed().length]).toEqual([1, 1]);
  });
});

describe('transmit (5.1.6.2)', () => {
  it('sends a frame without its header', () => {
    const { peer, send } = card();
    const { bytes } = packet(MAC_B);
    expect(send(bytes)).toBe(1);
    expect(peer.frames).toEqual([plain(bytes)]);
  });

  it('passes on what is left undone', () => {
    const { peer, send } = card(CSUM | HOST_TSO4);
    const { bytes } = tcpFrame(4, pattern(3000));
    send(bytes, [1, 0x81, 54, 0, 0xb4, 5, 34, 0, 16, 0]);
    expect(peer.frames[0]!.offload).toEqual({
      checksum: { start: 34, offset: 16 },
      isChecked: false,
      segmentation: 'tcp4',
      segmentBytes: 1460,
      hasEcn: true,
    });
  });

  it('does it for a peer that does not take it', () => {
    const { peer, send } = card(CSUM | HOST_TSO4);
    peer.supports = { checksum: false, tcp4: false, tcp6: false, ecn: false };
    const { bytes } = tcpFrame(4, pattern(3000));
    send(bytes, [1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0]);
    expect(peer.frames.map(({ bytes }) => [bytes.length, isIntact(bytes)])).toEqual([
      [1514, true],
      [1514, true],
      [134, true],
    ]);
  });

  it.each([
    ['shorter than an Ethernet header', 13, []],
    ['with UDP segmentation', 100, [1, 3]],
    ['segmented without a checksum', 100, [0, 1]],
  ])('takes the buffer of a frame %s, and sends nothing', (_, bytes, header) => {
    const { device, peer, send } = card();
    expect([send(pattern(bytes), header), peer.frames.length, device.counters.malformed]).toEqual([1, 0, 1]);
  });

  it('takes the buffer of a frame that is too long', () => {
    const { guest, transmit, device } = card();
    transmit.add([{ gpa: TX_BUFFER, bytes: 70_000 }], []);
    guest.kick(1);
    expect([transmit.takeUsed().length, device.counters.malformed]).toEqual([1, 1]);
  });

  it('ends a burst once', () => {
    const { guest, transmit, peer, line } = card();
    for (let n = 0; n < 3; n++) transmit.add([{ gpa: TX_BUFFER, bytes: 100 }], []);
    guest.kick(1);
    expect([peer.frames.length, peer.bursts, line.edges]).toEqual([3, 1, 1]);
  });

  it('ends a turn after 1 MiB, so that the thread can look at a STOP', () => {
    const deferred: (() => void)[] = [];
    const { guest, transmit, peer } = card(0, {}, { defer: (task) => deferred.push(task) });
    for (let n = 0; n < 15; n++) transmit.add([{ gpa: TX_BUFFER, bytes: 65_540 }], []);
    guest.kick(1);
    const tasks = deferred.length;
    transmit.takeUsed();
    for (let n = 0; n < 16; n++) transmit.add([{ gpa: TX_BUFFER, bytes: 65_540 }], []);
    guest.kick(1);
    // The last of them made it a full MiB: what the guest adds meanwhile is looked at after the thread's other work.
    expect([tasks, deferred.length, peer.frames.length]).toEqual([0, 1, 31]);
    transmit.takeUsed();
    transmit.add([{ gpa: TX_BUFFER, bytes: 100 }], []);
    deferred.shift()!();
    expect([peer.frames.length, deferred]).toEqual([32, []]);
  });
});

describe('receive (5.1.6.3)', () => {
  it('puts a header before the frame', () => {
    const { receive, offer, arrive, bytesAt } = card();
    const frame = packet(MAC_A);
    offer(1, 2000);
    arrive(frame);
    expect(receive.takeUsed().map(({ len }) => len)).toEqual([12 + 60]);
    expect(bytesAt(0, 72)).toEqual(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, ...frame.bytes));
  });

  it('spreads a frame over mergeable buffers, all shown at once', () => {
    const { receive, offer, arrive, bytesAt, line } = card(MRG_RXBUF);
    const frame = packet(MAC_A, 1186);
    offer(4, 512);
    arrive(frame);
    expect(receive.takeUsed().map(({ len }) => len)).toEqual([512, 512, 188]);
    expect([bytesAt(0, 12)[10], line.edges]).toEqual([3, 1]);
    expect(Uint8Array.of(...bytesAt(0, 512).subarray(12), ...bytesAt(1, 512), ...bytesAt(2, 188))).toEqual(
      frame.bytes,
    );
  });

  it('keeps frames that find no buffer, and goes on when the driver kicks', () => {
    const { receive, offer, arrive } = card(MRG_RXBUF);
    offer(2, 512);
    arrive(packet(MAC_A, 1186), packet(MAC_A));
    expect(receive.takeUsed()).toEqual([]);
    offer(2, 512);
    expect(receive.takeUsed().map(({ len }) => len)).toEqual([512, 512, 188, 72]);
  });

  it('drops a frame that no buffer is large enough for', () => {
    const { device, receive, offer, arrive } = card();
    offer(2, 512);
    arrive(packet(MAC_A, 1000), packet(MAC_A));
    expect([receive.takeUsed().map(({ len }) => len), device.counters.tooLarge]).toEqual([[72], 1]);
  });

  it('asks for a reset when a buffer has no room for the header', () => {
    const { guest, offer, arrive, receive } = card(MRG_RXBUF);
    offer(1, 8);
    offer(1, 2000);
    arrive(packet(MAC_A));
    expect([guest.status, receive.takeUsed().map(({ len }) => len)]).toEqual([0x4f, [0, 0]]);
  });

  it('passes on what is left undone, if the driver takes it', () => {
    const { receive, offer, arrive, bytesAt } = card(MRG_RXBUF | GUEST_CSUM | GUEST_TSO4);
    const frame = tcpFrame(4, pattern(3000));
    offer(4, 2000);
    arrive({ ...frame, offload: { ...frame.offload, segmentation: 'tcp4', segmentBytes: 1460 } });
    expect(bytesAt(0, 12)).toEqual(Uint8Array.of(1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0, 2, 0));
    expect(receive.takeUsed()).toHaveLength(2);
  });

  it('gets it done if not', () => {
    const { offer, arrive, bytesAt, receive } = card();
    offer(1, 2000);
    arrive(tcpFrame(4, pattern(100)));
    const [used] = receive.takeUsed();
    expect([used!.len, isIntact(bytesAt(0, used!.len).subarray(12)), bytesAt(0, 1)[0]]).toEqual([
      166,
      true,
      0,
    ]);
  });

  it('says that a checksum was verified (DATA_VALID) to a driver that may believe it', () => {
    const { offer, arrive, bytesAt } = card(GUEST_CSUM);
    offer(1, 2000);
    arrive({ bytes: packet(MAC_A).bytes, offload: { ...NO_OFFLOAD, isChecked: true } });
    expect(bytesAt(0, 1)[0]).toBe(2);
  });

  it('loses frames while there is no driver', () => {
    const { guest, arrive, wire, device } = card();
    guest.status = 0;
    arrive(packet(MAC_A));
    expect([wire.counters.sentFrames, device.connection.counters.receivedFrames]).toEqual([1, 1]);
  });
});

describe('the filter (5.1.6.5.1)', () => {
  const CONTROL = CTRL_VQ | CTRL_RX | CTRL_RX_EXTRA | CTRL_VLAN | CTRL_MAC_ADDR;
  const multicast = Uint8Array.of(1, 0, 0x5e, 0, 0, 1);
  const arrivals = (board: ReturnType<typeof card>, ...frames: Frame[]) => {
    board.offer(frames.length, 2000);
    board.arrive(...frames);
    return board.receive.takeUsed().length;
  };

  it('passes all frames until promiscuous mode is left, then only one’s own and broadcasts', () => {
    const board = card(CONTROL);
    const before = arrivals(board, packet(MAC_A), packet(MAC_B), packet(BROADCAST), packet(multicast));
    expect([before, board.command(0, 0, [0])]).toEqual([4, 0]);
    const counts = [MAC_A, MAC_B, BROADCAST, multicast].map((to) => arrivals(board, packet(to)));
    expect([counts, board.device.counters.filtered]).toEqual([[1, 0, 1, 0], 2]);
  });

  it.each([
    ['ALLMULTI', 1, [1, 0, 1, 1]],
    ['ALLUNI', 2, [1, 1, 1, 0]],
    ['NOUNI', 4, [0, 0, 1, 0]],
    ['NOBCAST', 5, [1, 0, 0, 0]],
  ])('%s', (_, mode, expected) => {
    const board = card(CONTROL);
    board.command(0, 0, [0]);
    board.command(0, mode, [1]);
    expect([MAC_A, MAC_B, BROADCAST, multicast].map((to) => arrivals(board, packet(to)))).toEqual(expected);
  });

  it('passes addresses of the tables', () => {
    const board = card(CONTROL);
    board.command(0, 0, [0]);
    expect(board.command(1, 0, [1, 0, 0, 0, ...MAC_B, 1, 0, 0, 0, ...multicast])).toBe(0);
    expect([MAC_A, MAC_B, BROADCAST, multicast].map((to) => arrivals(board, packet(to)))).toEqual([
      1, 1, 1, 1,
    ]);
  });

  it('follows the MAC address', () => {
    const board = card(CONTROL);
    board.command(0, 0, [0]);
    expect(board.command(1, 1, [...MAC_B])).toBe(0);
    expect([MAC_A, MAC_B].map((to) => arrivals(board, packet(to)))).toEqual([0, 1]);
    expect([board.guest.readDevice(5, 1)]).toEqual([0xbb]);
    board.guest.status = 0;
    expect(board.guest.readDevice(5, 1)).toBe(0xaa);
  });

  it('passes the VLANs that were added', () => {
    const board = card(CONTROL);
    const tagged = plain(ethernet(MAC_A, MAC_B, 0x8100, Uint8Array.of(0, 7, 8, 6, ...pattern(46))));
    board.command(0, 0, [0]);
    const before = arrivals(board, tagged);
    board.command(2, 0, [7, 0]);
    const added = arrivals(board, tagged);
    board.command(2, 1, [7, 0]);
    expect([before, added, arrivals(board, tagged), arrivals(board, packet(MAC_A))]).toEqual([0, 1, 0, 1]);
  });
});

describe('the control queue (5.1.6.5)', () => {
  it.each([
    ['an unknown class', [9, 0, [0]]],
    ['an unknown mode', [0, 6, [0]]],
    ['a mode without data', [0, 0, []]],
    ['a table with more addresses than data', [1, 0, [2, 0, 0, 0, ...MAC_B, 0, 0, 0, 0]]],
    ['a table with 2^32 - 1 addresses', [1, 0, [255, 255, 255, 255, ...MAC_B, 0, 0, 0, 0]]],
    ['one table', [1, 0, [0, 0, 0, 0]]],
    ['a MAC address of 5 bytes', [1, 1, [1, 2, 3, 4, 5]]],
    ['VLAN 4096', [2, 0, [0, 16]]],
    ['queue pairs without MQ', [4, 0, [1, 0]]],
    ['an offload that was not negotiated', [5, 0, [0x80, 0, 0, 0, 0, 0, 0, 0]]],
  ] as [string, [number, number, number[]]][])('refuses %s', (_, [kind, which, data]) => {
    const features =
      CTRL_VQ | CTRL_RX | CTRL_RX_EXTRA | CTRL_VLAN | CTRL_MAC_ADDR | CTRL_GUEST_OFFLOADS | GUEST_CSUM;
    expect(card(features).command(kind, which, data)).toBe(1);
  });

  it('switches offloads of what is received', () => {
    const { command, offer, arrive, bytesAt, receive } = card(CTRL_VQ | CTRL_GUEST_OFFLOADS | GUEST_CSUM);
    expect(command(5, 0, [0, 0, 0, 0, 0, 0, 0, 0])).toBe(0);
    offer(2, 2000);
    arrive(tcpFrame(4, pattern(100)));
    expect(command(5, 0, [2, 0, 0, 0, 0, 0, 0, 0])).toBe(0);
    arrive(tcpFrame(4, pattern(100)));
    expect([bytesAt(0, 1)[0], bytesAt(1, 1)[0], receive.takeUsed().length]).toEqual([0, 1, 2]);
  });

  it('gets its buffer back where there is no room for an answer', () => {
    const { control, guest } = card(CTRL_VQ);
    control.add([{ gpa: COMMAND, bytes: 3 }], []);
    guest.kick(2);
    expect(control.takeUsed().map(({ len }) => len)).toEqual([0]);
  });
});

describe('several queue pairs (5.1.6.5.6)', () => {
  it('steers a flow to the pair on which it was sent', () => {
    const hub = new Hub();
    const peer = new TestReceiver();
    const wire = hub.connect(peer, 'peer');
    const board = virtioBoard(
      new VirtioNet({ name: 'net0', backend: hub, mac: MAC_A, pairs: 2, queueSize: 16 }),
    );
    const guest = new ModernGuest(board);
    guest.negotiate(CTRL_VQ | (1 << 22));
    const queues = [0, 1, 2, 3, 4].map((n) => guest.setQueue(n, { start: RX + n * 0x4000, size: 16 }));
    guest.ready();
    board.ram.set([4, 0, 2, 0], COMMAND);
    queues[4]!.add([{ gpa: COMMAND, bytes: 4 }], [{ gpa: COMMAND + 16, bytes: 1 }]);
    guest.kick(4);
    const { bytes } = tcpFrame(4, pattern(10));
    board.ram.set(bytes, TX_BUFFER + 12);
    queues[3]!.add([{ gpa: TX_BUFFER, bytes: 12 + bytes.length }], []);
    guest.kick(3);
    queues[0]!.add([], [{ gpa: RX_BUFFERS, bytes: 2000 }]);
    queues[2]!.add([], [{ gpa: RX_BUFFERS + 0x1000, bytes: 2000 }]);
    const answer = bytes.slice();
    answer.copyWithin(26, 30, 34);
    answer.set(bytes.subarray(26, 30), 30);
    answer.copyWithin(34, 36, 38);
    answer.set(bytes.subarray(34, 36), 36);
    wire.send(plain(answer));
    wire.sendDone();
    expect([board.ram[COMMAND + 16], queues[0]!.takeUsed().length, queues[2]!.takeUsed().length]).toEqual([
      0, 0, 1,
    ]);
  });
});

describe('a legacy driver', () => {
  it('has a header of 10 bytes', () => {
    const hub = new Hub();
    const peer = new TestReceiver();
    const wire = hub.connect(peer, 'peer');
    const board = virtioBoard(new VirtioNet({ name: 'net0', backend: hub, mac: MAC_A, queueSize: 16 }));
    const guest = new LegacyGuest(board);
    guest.negotiate(1 << 5);
    const receive = guest.setQueue(0, RX);
    const transmit = guest.setQueue(1, TX);
    guest.ready();
    const { bytes } = packet(MAC_B);
    board.ram.set(bytes, TX_BUFFER + 10);
    transmit.add([{ gpa: TX_BUFFER, bytes: 10 + bytes.length }], []);
    guest.kick(1);
    receive.add([], [{ gpa: RX_BUFFERS, bytes: 2000 }]);
    guest.kick(0);
    wire.send(packet(MAC_A));
    wire.sendDone();
    expect([peer.frames[0]!.bytes, receive.takeUsed()[0]!.len]).toEqual([bytes, 70]);
  });
});
