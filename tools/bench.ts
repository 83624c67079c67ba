/** `npm run bench -- [boots|programs|program|echo]`: speed beside native QEMU TCG and v86; docs/benchmarks.md has how to read it. */
import { benchBoots } from './bench/command-boots.ts';
import { benchEcho } from './bench/command-echo.ts';
import { fail } from './bench/command-line.ts';
import { benchProgram } from './bench/command-program.ts';
import { benchPrograms } from './bench/command-programs.ts';

const COMMANDS: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  boots: benchBoots,
  programs: benchPrograms,
  program: benchProgram,
  echo: benchEcho,
};

const [first, ...rest] = process.argv.slice(2);
const isOption = first === undefined || first.startsWith('-');
const command = COMMANDS[isOption ? 'boots' : first];
if (command === undefined) fail(`there is no "${first}". There are: ${Object.keys(COMMANDS).join(', ')}.`);
await command(isOption ? process.argv.slice(2) : rest);
process.exit();
