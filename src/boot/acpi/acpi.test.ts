import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buffer, device, eisaId, integer, name, packageOf, scope, string } from './aml.ts';
import { ioPort, irq, memoryWindow, resourceTemplate } from './resources.ts';
import { acpiTables } from './tables.ts';

describe('AML', () => {
  it.each([
    ['zero', integer(0), [0x00]],
    ['one', integer(1), [0x01]],
    ['a byte', integer(0xff), [0x0a, 0xff]],
    ['a word', integer(0x1234), [0x0b, 0x34, 0x12]],
    ['a double word', integer(0xfee0_0000), [0x0c, 0, 0, 0xe0, 0xfe]],
    ['a quad word', integer(0x1_0000_0002), [0x0e, 2, 0, 0, 0, 1, 0, 0, 0]],
    ['a string', string('OK'), [0x0d, 0x4f, 0x4b, 0]],
    ['a hardware id', eisaId('PNP0A03'), [0x0c, 0x41, 0xd0, 0x0a, 0x03]],
    ['a name', name('_UID', integer(1)), [0x08, 0x5f, 0x55, 0x49, 0x44, 1]],
    ['a short name, padded', name('\\_S5', integer(0)), [0x08, 0x5c, 0x5f, 0x53, 0x35, 0x5f, 0]],
    [
      'a path of two',
      name('A.B', integer(0)),
      [0x08, 0x2e, 0x41, 0x5f, 0x5f, 0x5f, 0x42, 0x5f, 0x5f, 0x5f, 0],
    ],
    ['a package', packageOf(integer(1), integer(2)), [0x12, 5, 2, 1, 0x0a, 2]],
    ['a buffer', buffer([7, 8]), [0x11, 5, 0x0a, 2, 7, 8]],
    [
      'a scope',
      scope('\\_SB', name('X', integer(0))),
      [0x10, 0x0c, 0x5c, 0x5f, 0x53, 0x42, 0x5f, 8, 0x58, 0x5f, 0x5f, 0x5f, 0],
    ],
    ['a device', device('X'), [0x5b, 0x82, 5, 0x58, 0x5f, 0x5f, 0x5f]],
    // 63 bytes of body need a two-byte length of 65: low nibble 1, then 4.
    [
      'a length of two bytes',
      buffer(Array.from({ length: 61 }, () => 0)).slice(0, 5),
      [0x11, 0x41, 0x04, 0x0a, 61],
    ],
    [
      'I/O and IRQ resources',
      resourceTemplate(ioPort(0x3f8, 8), irq(4)),
      [0x11, 0x10, 0x0a, 13, 0x47, 1, 0xf8, 0x03, 0xf8, 0x03, 1, 8, 0x22, 0x10, 0, 0x79, 0],
    ],
    [
      'a memory window',
      memoryWindow(0xc000_0000, 0xc0ff_ffff),
      [0x87, 0x17, 0, 0, 0x0c, 1, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff, 0xff, 0xc0, 0, 0, 0, 0, 0, 0, 0, 1],
    ],
  ])('encodes %s', (_, encoded, expected) => {
    expect(encoded).toEqual(expected);
  });
});

const TABLES_ADDRESS = 0xe_0000;
const machine = { cpus: 2, serialPorts: 1 };
const { tables, rsdp, offsets } = acpiTables(machine, TABLES_ADDRESS);

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
}

function u32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
}

/** A table with its header, found by signature. */
function table(signature: string): Uint8Array {
  const start = offsets[signature] ?? 0;
  return tables.subarray(start, start + u32(tables, start + 4));
}

describe('tables', () => {
  it.each(['DSDT', 'FACP', 'APIC', 'WAET', 'RSDT', 'XSDT'])(
    '%s has its signature and adds up to 0',
    (signature) => {
      expect(String.fromCharCode(...table(signature).subarray(0, 4))).toBe(signature);
      expect(sum(table(signature))).toBe(0);
    },
  );

  it('RSDP has both checksums and points to RSDT and XSDT', () => {
    expect([sum(rsdp.subarray(0, 20)), sum(rsdp), rsdp[15]]).toEqual([0, 0, 2]);
    expect([u32(rsdp, 16), u32(rsdp, 24)]).toEqual([
      TABLES_ADDRESS + offsets['RSDT']!,
      TABLES_ADDRESS + offsets['XSDT']!,
    ]);
  });

  it('RSDT and XSDT list the same tables', () => {
    const expected = ['FACP', 'APIC', 'WAET'].map((signature) => TABLES_ADDRESS + offsets[signature]!);
    expect([36, 40, 44].map((at) => u32(table('RSDT'), at))).toEqual(expected);
    expect([36, 44, 52].map((at) => u32(table('XSDT'), at))).toEqual(expected);
  });

  it('FACS is on a 64-byte boundary', () => {
    expect((TABLES_ADDRESS + offsets['FACS']!) % 64).toBe(0);
  });

  it('FADT names the ports of the platform', () => {
    const fadt = table('FACP');
    expect({
      revision: fadt[8],
      length: fadt.length,
      sci: fadt[46],
      smiCommand: u32(fadt, 48),
      event: u32(fadt, 56),
      control: u32(fadt, 64),
      timer: u32(fadt, 76),
      gpe: u32(fadt, 80),
      reset: [...fadt.subarray(116, 129)],
      xDsdt: u32(fadt, 140),
    }).toEqual({
      revision: 3,
      length: 244,
      sci: 9,
      smiCommand: 0,
      event: 0x600,
      control: 0x604,
      timer: 0x608,
      gpe: 0xafe0,
      reset: [1, 8, 0, 1, 0xf9, 0x0c, 0, 0, 0, 0, 0, 0, 6],
      xDsdt: TABLES_ADDRESS + offsets['DSDT']!,
    });
  });

  it('MADT lists each CPU, the I/O APIC, the overrides and the NMI pin', () => {
    expect([...table('APIC').subarray(36)]).toEqual(
      [
        [0, 0, 0xe0, 0xfe, 1, 0, 0, 0],
        [0, 8, 0, 0, 1, 0, 0, 0],
        [0, 8, 1, 1, 1, 0, 0, 0],
        [1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
        [2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
        [2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0],
        [2, 10, 0, 10, 10, 0, 0, 0, 0x0d, 0],
        [2, 10, 0, 11, 11, 0, 0, 0, 0x0d, 0],
        [4, 6, 0xff, 0, 0, 1],
      ].flat(),
    );
  });
});

describe("Intel's compiler", () => {
  /** Runs iasl; returns what it says. */
  function iasl(folder: string, ...args: string[]): string {
    const { error, stdout, stderr } = spawnSync('iasl', args, { cwd: folder, encoding: 'utf8' });
    if (error) throw new Error("There is no iasl: install Debian's acpica-tools.", { cause: error });
    return stdout + stderr;
  }

  /** Disassembles a table; returns what iasl says and the source that it makes. */
  function disassemble(folder: string, signature: string): { said: string; source: string } {
    writeFileSync(join(folder, `${signature}.dat`), table(signature));
    const said = iasl(folder, '-d', `${signature}.dat`);
    return { said, source: readFileSync(join(folder, `${signature}.dsl`), 'utf8') };
  }

  function inFolder<T>(use: (folder: string) => T): T {
    const folder = mkdtempSync(join(tmpdir(), 'virtab-acpi-'));
    try {
      return use(folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  it.each(['DSDT', 'FACP', 'FACS', 'APIC', 'WAET', 'RSDT', 'XSDT'])(
    'disassembles %s without errors',
    (signature) => {
      const { said, source } = inFolder((folder) => disassemble(folder, signature));
      expect(said).not.toMatch(/error|invalid|incorrect/i);
      expect(source).not.toMatch(/error|invalid|incorrect checksum/i);
    },
  );

  it('compiles the disassembled DSDT without errors or warnings', () => {
    const said = inFolder((folder) => {
      disassemble(folder, 'DSDT');
      return iasl(folder, 'DSDT.dsl');
    });
    expect(said).toContain('0 Errors, 0 Warnings');
  });
});
