/**
 * `npm run test:disks -- [amd64|i386] [--machine virtab|virtab-jit|qemu] [--jobs 1,8,16] [--size KIB]`: Debian's kernel, fio with
 * verification, e2fsprogs and dd on our disks (tools/io/verify.ts). Without arguments: both architectures, interpreted and translated.
 */
import { parseArgs } from 'node:util';
import { startQemu } from './io/qemu.ts';
import { verifyDisks } from './io/verify.ts';
import { startVirtab } from './io/virtab.ts';
import type { StartMachine } from './io/machine.ts';
import type { Architecture } from './rootfs/closure.ts';
import { ensureSite } from './runner/site.ts';
import { ensureWasm } from './runner/wasm.ts';

const ARCHITECTURES: readonly Architecture[] = ['amd64', 'i386'];
const MACHINES: Readonly<Record<string, StartMachine>> = {
  virtab: startVirtab('off'),
  'virtab-jit': startVirtab('on'),
  qemu: startQemu,
};

const { values, positionals } = parseArgs({
  options: {
    machine: { type: 'string', default: 'virtab,virtab-jit' },
    jobs: { type: 'string', default: '1,8,16' },
    size: { type: 'string', default: '4096' },
    file: { type: 'string', default: '64' },
  },
  allowPositionals: true,
});

await ensureWasm(true);
await ensureSite();
let failures = 0;
for (const architecture of ARCHITECTURES) {
  if (positionals.length > 0 && !positionals.includes(architecture)) continue;
  for (const name of values.machine.split(',')) {
    const start = MACHINES[name];
    if (start === undefined) throw new Error(`There is no machine "${name}".`);
    console.log(`== ${architecture}, ${name}`);
    const started = performance.now();
    try {
      const jobs = values.jobs.split(',').map(Number);
      const options = {
        architecture,
        start,
        jobs,
        sizeKib: Number(values.size),
        fileMib: Number(values.file),
      };
      await verifyDisks(options, (line) => console.log(line));
      console.log(`     ${((performance.now() - started) / 1000).toFixed(0)} s`);
    } catch (error) {
      console.log(`FAIL ${error instanceof Error ? error.message : String(error)}`);
      failures++;
    }
  }
}
process.exit(failures === 0 ? 0 : 1);
