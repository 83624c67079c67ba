import { describe, expect, it } from 'vitest';
import { appletNames } from './busybox.ts';
import { CpioArchive } from './cpio.ts';
import { readAr } from './deb.ts';
import { makeInitramfs, selectModules } from './initramfs.ts';
import { dependenciesOf, modinfo, moduleName, modulesAlias, modulesDep } from './modules.ts';
import type { KernelModule } from './modules.ts';
import { readTar } from './tar.ts';
import type { TarEntry } from './tar.ts';
import { unpackLz4 } from './vmlinux.ts';

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

describe('ar', () => {
  const archive = (member: string): Uint8Array => ascii(`!<arch>\n${member}`);
  const header = (name: string, size: string): string =>
    `${name.padEnd(16)}${'0'.padEnd(32)}${size.padEnd(10)}\`\n`;

  it('gives members of odd and even sizes', () => {
    const members = readAr(archive(`${header('debian-binary', '3')}2.0\n${header('data.tar/', '4')}abcd`));
    expect(members.map(({ name, data }) => [name, latin1(data)])).toEqual([
      ['debian-binary', '2.0'],
      ['data.tar', 'abcd'],
    ]);
  });

  it.each([
    ['another file', ascii('hello, world'), 'not an ar archive'],
    ['a member that is cut off', archive(`${header('data.tar', '100')}abcd`), 'truncated member'],
    ['a damaged header', archive(`${header('data.tar', '4').slice(0, -2)}!!abcd`), 'damaged member header'],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => readAr(bytes)).toThrow(message);
  });
});

describe('tar', () => {
  /** A ustar header block and the padded contents. */
  function entry(path: string, type: string, contents = '', link = ''): Uint8Array {
    const block = Buffer.alloc(512 + Math.ceil(contents.length / 512) * 512);
    block.write(path, 0, 'latin1');
    block.write('0000755\0', 100, 'latin1');
    block.write(`${contents.length.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
    block.write('        ', 148, 'latin1');
    block.write(type, 156, 'latin1');
    block.write(link, 157, 'latin1');
    block.write('ustar\0', 257, 'latin1');
    const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    block.write(contents, 512, 'latin1');
    return block;
  }

  /** As a stream of chunks that do not care for block boundaries. */
  async function* chunks(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700);
  }

  async function read(
    parts: Uint8Array[],
    wanted: (path: string) => boolean = () => true,
  ): Promise<TarEntry[]> {
    const entries: TarEntry[] = [];
    for await (const item of readTar(chunks(Buffer.concat(parts)), wanted)) entries.push(item);
    return entries;
  }

  it('gives files, directories and links without the leading ./', async () => {
    const entries = await read([
      entry('./boot/', '5'),
      entry('./boot/vmlinuz', '0', 'x'.repeat(600)),
      entry('./link', '2', '', 'boot/vmlinuz'),
      Buffer.alloc(1024),
    ]);
    expect(entries.map(({ path, type, mode, link, data }) => [path, type, mode, link, data.length])).toEqual([
      ['boot', 'directory', 0o755, '', 0],
      ['boot/vmlinuz', 'file', 0o755, '', 600],
      ['link', 'symlink', 0o755, 'boot/vmlinuz', 0],
    ]);
  });

  it('takes GNU long names', async () => {
    const long = `./${'a'.repeat(150)}/b.ko`;
    const entries = await read([
      entry('././@LongLink', 'L', `${long}\0`),
      entry(long.slice(0, 99), '0', 'data'),
    ]);
    expect(entries.map(({ path, data }) => [path, latin1(data)])).toEqual([
      [`${'a'.repeat(150)}/b.ko`, 'data'],
    ]);
  });

  it('skips what is not wanted', async () => {
    const entries = await read(
      [entry('a', '0', 'x'.repeat(5000)), entry('b', '0', 'yes')],
      (path) => path === 'b',
    );
    expect(entries.map(({ path, data }) => [path, latin1(data)])).toEqual([['b', 'yes']]);
  });

  it('ends its input when the reader stops early', async () => {
    let isEnded = false;
    const input = async function* (): AsyncGenerator<Uint8Array> {
      try {
        yield Buffer.concat([entry('a', '0', 'first'), entry('b', '0', 'second')]);
      } finally {
        isEnded = true;
      }
    };
    const entries = readTar(input(), () => true);
    await entries.next();
    await entries.return(undefined);
    expect(isEnded).toBe(true);
  });

  it('refuses a damaged header', async () => {
    const bad = entry('a', '0');
    bad[0] = 0x62;
    await expect(read([bad])).rejects.toThrow('wrong checksum');
  });

  it('refuses an archive that is cut off', async () => {
    await expect(read([entry('a', '0', 'x'.repeat(600)).subarray(0, 700)])).rejects.toThrow('unexpected end');
  });
});

describe('cpio', () => {
  it('writes the newc format with parents first and a trailer', () => {
    const archive = new CpioArchive();
    archive.file('etc/motd', 'hi', 0o600);
    expect(latin1(archive.bytes())).toBe(
      '07070100000001000041ED000000000000000000000002000000000000000000000000000000000000000000000000' +
        '0000000400000000etc\0\0\0' +
        '070701000000020000818000000000000000000000000100000000000000020000000000000000000000000000000000000009' +
        '00000000etc/motd\0\0hi\0\0' +
        '07070100000000000000000000000000000000000000010000000000000000000000000000000000000000000000000000000B' +
        '00000000TRAILER!!!\0\0\0\0',
    );
  });

  it('writes devices and links', () => {
    const archive = new CpioArchive();
    archive.characterDevice('console', 5, 1);
    archive.symlink('sh', 'busybox');
    const text = latin1(archive.bytes());
    // Mode, then the device number in the 10th and 11th field.
    expect(text.slice(14, 22)).toBe('00002180');
    expect(text.slice(78, 94)).toBe('0000000500000001');
    expect(text).toContain('sh\0\0\0\0busybox\0');
  });
});

function fakeModule(name: string, depends: string[] = [], aliases: string[] = []): [string, KernelModule] {
  return [name, { path: `kernel/${name}.ko`, data: new Uint8Array(4), name, depends, aliases }];
}

describe('kernel modules', () => {
  const modules = new Map([
    fakeModule('virtio'),
    fakeModule('virtio_ring', ['virtio']),
    fakeModule('failover'),
    fakeModule('net_failover', ['failover']),
    fakeModule('virtio_net', ['virtio_ring', 'virtio', 'net_failover', 'built_in'], ['virtio:d00000001v*']),
    fakeModule('unwanted'),
  ]);

  it('are ordered so that each comes after what it needs', () => {
    expect(dependenciesOf('virtio_net', modules).map(({ name }) => name)).toEqual([
      'virtio',
      'virtio_ring',
      'failover',
      'net_failover',
    ]);
  });

  it('are selected with all that they need, and nothing else', () => {
    expect([...selectModules(modules).keys()]).toEqual([
      'virtio',
      'virtio_ring',
      'failover',
      'net_failover',
      'virtio_net',
    ]);
  });

  it('are listed in modules.dep with the first to load last', () => {
    expect(modulesDep(modules)).toContain(
      'kernel/virtio_net.ko: kernel/net_failover.ko kernel/failover.ko kernel/virtio_ring.ko kernel/virtio.ko\n',
    );
  });

  it('are listed in modules.alias', () => {
    expect(modulesAlias(modules)).toBe('alias virtio:d00000001v* virtio_net\n');
  });

  it.each([
    ['kernel/drivers/char/hw_random/virtio-rng.ko', 'virtio_rng'],
    ['button.ko.xz', 'button'],
  ])('%s is the module %s', (path, name) => {
    expect(moduleName(path)).toBe(name);
  });

  it('that are no ELF files are refused', () => {
    expect(() => modinfo(new Uint8Array(100))).toThrow('not an ELF file');
  });
});

describe('initramfs', () => {
  const busybox = ascii('code\0[\0[[\0acpid\0cat\0sh\0\0more code');

  it('finds the applets in the binary', () => {
    expect(appletNames(busybox)).toEqual(['[', '[[', 'acpid', 'cat', 'sh']);
  });

  it('has no applets for a binary without a name table', () => {
    expect(appletNames(ascii('code'))).toEqual([]);
  });

  it('holds init, console, applets and modules, and is the same for the same parts', () => {
    const parts = {
      busybox,
      release: '6.1.0-1-cloud-amd64',
      modules: new Map([fakeModule('button')]),
      builtin: '',
    };
    const image = Buffer.from(makeInitramfs(parts)).toString('latin1');
    expect(image).toMatch(/init\0[^]*dev\/console\0|dev\/console\0[^]*init\0/);
    expect(image).toContain('bin/cat\0');
    expect(image).toContain('lib/modules/6.1.0-1-cloud-amd64/kernel/button.ko\0');
    expect(image).toBe(Buffer.from(makeInitramfs(parts)).toString('latin1'));
  });
});

describe('LZ4', () => {
  const frame = (...block: number[]): Uint8Array =>
    Uint8Array.of(0x02, 0x21, 0x4c, 0x18, block.length, 0, 0, 0, ...block);

  it.each([
    ['literals only', frame(0x30, 0x61, 0x62, 0x63), 'abc'],
    // 2 literals, copy 4 + 3 bytes from 2 back, then 1 literal.
    ['a copy that overlaps itself', frame(0x23, 0x61, 0x62, 2, 0, 0x10, 0x21), 'ababababa!'],
    // 15 + 1 literals.
    ['a long run of literals', frame(0xf0, 1, ...Array.from({ length: 16 }, () => 0x7a)), 'z'.repeat(16)],
  ])('unpacks %s', (_, bytes, expected) => {
    expect(latin1(unpackLz4(bytes))).toBe(expected);
  });
});
