/** `npx tsx tools/kernels/show.ts NAME [--qemu | --jit]`: runs one test kernel and prints its log, for writing logs/NAME.log. */
import { buildKernels } from './build.ts';
import { runInQemu, runInVirtab } from './run.ts';

const [name = '', mode] = process.argv.slice(2);
const built = await buildKernels((line) => process.stderr.write(`${line}\n`));
if (built.ok) {
  const log = mode === '--qemu' ? runInQemu(name) : runInVirtab(name, mode === '--jit' ? 'on' : 'off');
  process.stdout.write(await log);
} else {
  process.stderr.write(built.error);
  process.exitCode = 1;
}
