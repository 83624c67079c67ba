/** Guest code as text, by objdump: independent of our own decoder. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../guest/process.ts';

export async function disassemble(bytes: Uint8Array, address: number, bits: 16 | 32 | 64): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'virtab-code-'));
  try {
    const file = join(folder, 'code');
    writeFileSync(file, bytes);
    const machine = bits === 64 ? 'i386:x86-64' : bits === 32 ? 'i386' : 'i8086';
    const args = [
      '-D',
      '-b',
      'binary',
      '-m',
      machine,
      '-M',
      'intel',
      `--adjust-vma=0x${address.toString(16)}`,
    ];
    const { code, stdout, stderr } = await run('objdump', [...args, file]);
    if (code !== 0) return `objdump (Debian package binutils) is needed: ${stderr}`;
    return stdout
      .split('\n')
      .filter((line) => /^\s*[0-9a-f]+:/.test(line))
      .join('\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
