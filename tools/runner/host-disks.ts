/** The drives whose images are files of the host: found, made where a size says so, and the drivers' names checked. */
import { closeSync, openSync, ftruncateSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { failure, success } from '../../src/base/result.ts';
import type { Result } from '../../src/base/result.ts';
import { AIO_DRIVERS, describeAioDrivers, findAioDriver } from '../../src/block/aio.ts';
import type { VmConfig } from '../../src/config/vm-config.ts';
import type { HostDisk } from './runner.ts';

/** What `-drive aio=?` prints: nobody drops files onto the runner. */
export function describeHostDrivers(): string {
  return [
    'A disk’s file is copied into the browser before the run, and back when the run ends; with --node it is used where it is.',
    describeAioDrivers(AIO_DRIVERS.filter(({ name }) => name !== 'file')),
  ].join('\n');
}

export function findHostDisks(config: VmConfig): Result<readonly HostDisk[]> {
  const disks: HostDisk[] = [];
  for (const { id, file, sizeBytes, aio, readOnly } of config.drives) {
    const driver = aio === 'auto' ? undefined : findAioDriver(aio);
    if (driver?.ok === false) return driver;
    if (file === undefined || aio === 'memory') continue;
    const path = resolve(file);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) {
      if (sizeBytes === undefined)
        return failure(`-drive file=${file}: there is no such file. With size=1G it is made.`);
      const fd = openSync(path, 'wx');
      ftruncateSync(fd, sizeBytes);
      closeSync(fd);
    } else if (!stat.isFile()) return failure(`-drive file=${file}: this is not a file.`);
    disks.push({ drive: id, path, readOnly });
  }
  return success(disks);
}

/** The configuration with another name for each of these drives' files. */
export function renameFiles(
  config: VmConfig,
  disks: readonly HostDisk[],
  nameOf: (disk: HostDisk) => string,
): VmConfig {
  return {
    ...config,
    drives: config.drives.map((drive) => {
      const disk = disks.find((candidate) => candidate.drive === drive.id);
      return disk === undefined ? drive : { ...drive, file: nameOf(disk) };
    }),
  };
}
