import { describe, expect, it } from 'vitest';
import type { BlockStatus } from './block-backend.ts';
import { Drive } from './drive.ts';
import { ManualDriver } from './manual-driver.ts';
import type { OpenDisk } from './open-disk.ts';
import { TestSource, testQueue } from './test-source.ts';

function medium() {
  const driver = new ManualDriver();
  const { queue } = testQueue(driver);
  const closed: string[] = [];
  const disk: OpenDisk = {
    backend: queue,
    warning: undefined,
    poll: () => {},
    close: (then) =>
      queue.close((status) => {
        closed.push(status);
        then(status);
      }),
  };
  return { driver, disk, queue, closed };
}

function drive(isReadOnly = false) {
  const made = new Drive('d0', isReadOnly);
  const source = new TestSource();
  source.client = made.attach(source, 'virtio0');
  const sizes: number[] = [];
  made.onResize(() => sizes.push(made.properties.sizeBytes));
  return { made, source, sizes };
}

describe('a drive', () => {
  it('without a medium has no sectors and fails every request', () => {
    const { made, source } = drive();
    source.add('r', 'read');
    source.add('f', 'flush');
    source.client.kick();
    expect(source.completions).toEqual(['r io-error', 'f io-error', '|']);
    expect([made.properties.sizeBytes, source.client.counters.errors]).toEqual([0, 2]);
  });

  it('says without a medium already whether the guest may write', () => {
    expect([drive(false).made.properties.readOnly, drive(true).made.properties.readOnly]).toEqual([
      false,
      true,
    ]);
  });

  it('serves its queues from the medium that is put in, and tells the device of its size', () => {
    const { made, source, sizes } = drive();
    const { disk, driver } = medium();
    made.insert(disk);
    source.add('r', 'read');
    source.client.kick();
    driver.finishAll();
    expect([source.statuses, sizes]).toEqual([['r ok'], [1024 * 1024]]);
  });

  it('cancels what is not in the driver, waits for what is, and closes, when it is ejected', () => {
    const { made, source, sizes } = drive();
    const { disk, driver, closed } = medium();
    made.insert(disk);
    source.add('a', 'read', 0);
    source.client.kick();
    const statuses: BlockStatus[] = [];
    made.eject((status) => statuses.push(status));
    const before = [...closed];
    driver.finishAll();
    driver.finishAll();
    expect([before, closed, statuses, sizes]).toEqual([[], ['ok'], ['ok'], [1024 * 1024, 0]]);
    expect(source.statuses).toHaveLength(1);
  });

  it('counts on through a change of the medium', () => {
    const { made, source } = drive();
    const first = medium();
    made.insert(first.disk);
    source.add('a', 'read');
    source.client.kick();
    first.driver.finishAll();
    made.eject(() => {});
    first.driver.finishAll();
    const second = medium();
    made.insert(second.disk);
    source.add('b', 'read');
    source.client.kick();
    second.driver.finishAll();
    expect([source.statuses, source.client.counters.reads]).toEqual([['a ok', 'b ok'], 2]);
  });

  it('remembers that the guest switched the write cache off', () => {
    const { made } = drive();
    made.setWriteCache(false);
    const { disk } = medium();
    made.insert(disk);
    expect([made.writeCache, disk.backend.writeCache]).toEqual([false, false]);
  });

  it('passes on pauses of the medium', () => {
    const { made, source } = drive();
    const { disk, driver } = medium();
    const pauses: string[] = [];
    made.onPause(({ status }) => pauses.push(status));
    made.insert(disk);
    source.add('w', 'write');
    source.client.kick();
    driver.finish(0, 'no-space', 'full');
    expect([pauses, made.paused?.status, source.statuses]).toEqual([['no-space'], 'no-space', []]);
    made.resume();
    driver.finishAll();
    expect(source.statuses).toEqual(['w ok']);
  });
});
