/** The guest of the disk tests and benchmarks: Debian with fio and e2fsprogs in an initramfs, told what to do over its console. */
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Result } from '../../src/base/result.ts';
import { success } from '../../src/base/result.ts';
import type { Log } from '../guest/apt.ts';
import { PROJECT_FOLDER } from '../guest/folders.ts';
import { fetchKernelPackage, readKernel } from '../guest/kernels.ts';
import type { KernelFlavour } from '../guest/kernels.ts';
import { dependenciesOf } from '../guest/modules.ts';
import type { Architecture } from '../rootfs/closure.ts';
import { makeExt4, rootCpio } from '../rootfs/root-fs.ts';
import type { RootRecipe } from '../rootfs/root-fs.ts';
import { emptyRoot, RootTree } from '../rootfs/tree.ts';

/** v86 knows no PAE. */
const KERNELS: Readonly<Record<Architecture, KernelFlavour>> = { amd64: 'cloud-amd64', i386: '686' };

/** ext4 asks for its checksum by the name of the algorithm, not of the module. The last two are for v86's IDE disk. */
const MODULES = ['virtio_pci', 'virtio_blk', 'crc32c_generic', 'ext4', 'ata_piix', 'sd_mod'];

/** fio brings the client libraries of every storage system, and they Python and Perl, which it never starts. */
const NOT_USED =
  /^usr\/(share\/perl|lib\/[^/]+\/perl|lib\/python3|share\/python|share\/fio|share\/zoneinfo|lib\/[^/]+\/gconv\/)/;

function recipe(architecture: Architecture): RootRecipe {
  const packages = ['bash', 'busybox-static', 'coreutils', 'e2fsprogs', 'fio', 'mount'];
  return { name: 'io', architecture, packages, leaveOut: NOT_USED };
}

/** What precedes the line by which the guest says that it waits for a command. */
export const READY = 'io ready';
/** Begins the lines with results; the rest of the console's output is for people. */
export const RESULT = 'io result ';

/** PID 1: obeys one line after the other, each a function of COMMANDS with its arguments. */
const INIT = `#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/shm && mount -t tmpfs tmpfs /dev/shm
stty -echo -onlcr < /dev/console
for module in /io/modules/*; do busybox insmod "$module" || echo "io: $module does not load"; done
. /io/commands
echo "${READY}"
while read -r line; do
  $line || echo "io failed: $line: $?"
  echo "${READY}"
done
`;

/**
 * The functions. fio's terse format, version 3: field 6 is KiB read, 7 KiB/s, 9 ms, field 47 KiB written, 48 KiB/s, 50 ms. Jobs are
 * threads with synchronous calls, so that as many requests are under way as there are jobs; O_DIRECT keeps the guest's own cache out.
 */
const COMMANDS = `
fio_line() {
  fio --minimal --terse-version=3 --thread --group_reporting --ioengine=psync --randrepeat=1 "$@" 2>&1 | tail -n 1
}
# measure KIND JOBS FILE SECONDS
measure() {
  local kind=$1 jobs=$2 file=$3 seconds=$4 size each
  size=$(stat -Lc %s "$file"); each=$((size / jobs / 65536 * 65536))
  local place="--filename=$file --size=$each --offset_increment=$each"
  local run="--time_based --runtime=$seconds --direct=1"
  case $kind in
    create)
      echo "${RESULT}$(fio_line --name=x --directory=/mnt --filename_format='new.$jobnum' --rw=write --bs=64k --size=$((33554432 / jobs)) --numjobs=$jobs --end_fsync=1 --fallocate=none)"
      rm -f /mnt/new.*; sync ;;
    seqread) echo "${RESULT}$(fio_line --name=x $place $run --rw=read --bs=64k --numjobs=$jobs)" ;;
    randread) echo "${RESULT}$(fio_line --name=x $place $run --rw=randread --bs=4k --numjobs=$jobs)" ;;
    randwrite) echo "${RESULT}$(fio_line --name=x $place $run --rw=randwrite --bs=4k --numjobs=$jobs)" ;;
    # What starting fio costs.
    start) echo "${RESULT}$(fio_line --name=x $place --rw=read --bs=4k --io_size=4k --numjobs=$jobs --direct=1)" ;;
  esac
}
# verify NAME JOBS TARGET: random blocks of many sizes are written, and read back with their checksums
verify() {
  local place
  if [ -d "$3" ]; then place="--directory=$3 --size=\${4:-4m}"; else place="--filename=$3 --size=\${4:-4m} --offset_increment=\${4:-4m}"; fi
  fio --name=$1 $place --numjobs=$2 --thread --group_reporting --rw=randwrite --bsrange=512-64k --blockalign=512 --ioengine=libaio --iodepth=4 \\
    --direct=1 --verify=crc32c --verify_fatal=1 --do_verify=1 --randrepeat=1 --fallocate=none --minimal --terse-version=3 > /tmp/fio.out 2>&1
  local code=$?
  [ $code = 0 ] || cat /tmp/fio.out
  echo "${RESULT}verify $1 $2 exit $code errors $(busybox grep -c -i 'verify: bad' /tmp/fio.out)"
}
make_file_system() { mkfs.ext4 -q -F "$1" && mount -t ext4 "$1" /mnt && echo "${RESULT}mkfs ok"; }
check_file_system() { umount /mnt; fsck.ext4 -f -n "$1" > /tmp/fsck.out 2>&1; local code=$?; [ $code = 0 ] || cat /tmp/fsck.out; echo "${RESULT}fsck exit $code"; }
# fill NAME MEBIBYTES: a file that dd writes, and its checksum after the guest's cache was dropped
fill() {
  seq -f 'line %.0f of a file that dd writes' 1 100000000 | dd of=/mnt/$1 bs=1M count=$2 iflag=fullblock conv=fsync 2> /dev/null
  echo 3 > /proc/sys/vm/drop_caches
  echo "${RESULT}sha256 $(sha256sum < /mnt/$1)"
}
checksum() { echo 3 > /proc/sys/vm/drop_caches; echo "${RESULT}sha256 $(dd if=$1 bs=1M iflag=direct 2> /dev/null | sha256sum)"; }
# attach DISK: the disk of an IDE controller appears some time after its driver
attach() {
  local tries=0
  while [ ! -b "$1" ] && [ $((tries++)) -lt 600 ]; do sleep 0.1; done
  mount -t ext4 "$1" /mnt && echo "${RESULT}attached"
}
clock() { read -r up rest < /proc/uptime; echo "${RESULT}uptime $up"; }
power_off() { sync; busybox poweroff -f; sleep 60; }
`;

export interface IoGuest {
  readonly kernel: string;
  readonly initrd: string;
  readonly commandLine: string;
}

export const MEMORY_MIB = 512;

const FOLDER = join(PROJECT_FOLDER, 'build/io');

export async function prepareIoGuest(architecture: Architecture, log: Log): Promise<Result<IoGuest>> {
  const root = await rootCpio(recipe(architecture), log);
  if (!root.ok) return root;
  const source = await fetchKernelPackage(KERNELS[architecture], log);
  if (!source.ok) return source;
  const kernel = await readKernel(source.value);
  const own = new RootTree();
  own.directory('io');
  own.file('init', INIT, 0o755);
  own.file('io/commands', COMMANDS);
  const modules = [
    ...new Set(
      MODULES.flatMap((name) => {
        const module = kernel.modules.get(name);
        return module === undefined ? [] : [...dependenciesOf(name, kernel.modules), module];
      }),
    ),
  ];
  // In the order in which they must be loaded.
  modules.forEach(({ name, data }, index) => {
    own.file(`io/modules/${String(index).padStart(2, '0')}-${name}.ko`, data);
  });
  await mkdir(FOLDER, { recursive: true });
  const initrd = await put(`${architecture}.img`, Buffer.concat([await readFile(root.value), own.toCpio()]));
  return success({
    kernel: await put(`vmlinuz-${architecture}`, kernel.image),
    initrd,
    // A machine may be stopped for a while (rounds.ts), which its watchdog would call a lockup.
    commandLine: 'console=ttyS0 quiet nowatchdog cryptomgr.notests panic=-1',
  });
}

async function put(name: string, data: Uint8Array): Promise<string> {
  const file = join(FOLDER, name);
  await writeFile(`${file}.${process.pid}`, data);
  await rename(`${file}.${process.pid}`, file);
  return file;
}

/** The file on it that is read and written over. */
export const DATA_MIB = 128;
const DISK_MIB = 320;

/** An ext4 disk with a file of DATA_MIB without structure at /data: made once; users take copies. */
export async function benchDisk(): Promise<string> {
  const file = join(FOLDER, `bench-${DATA_MIB}.ext4`);
  if ((await stat(file).catch(() => undefined)) !== undefined) return file;
  await mkdir(FOLDER, { recursive: true });
  const words = new Uint32Array(DATA_MIB * 2 ** 18);
  let state = 88172645;
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  const tree = emptyRoot();
  tree.file('data', new Uint8Array(words.buffer));
  await makeExt4(tree, `${file}.${process.pid}`, DISK_MIB);
  await rename(`${file}.${process.pid}`, file);
  return file;
}
