/** A guest that has booted: commands are typed into its console, and the answers read. */
import { childrenOf } from '../bench/cpu-time.ts';
import { MachineCpu } from './cpu.ts';
import { READY, RESULT } from './guest.ts';
import type { IoMachine, IoMachineOptions, StartMachine } from './machine.ts';

export interface RunningGuest<Machine extends IoMachine = IoMachine> {
  readonly machine: Machine;
  readonly cpu: MachineCpu;
  /** The first line of results of a command (guest.ts). Throws if there is none, or if the guest says that it failed. */
  readonly ask: (command: string) => Promise<string>;
}

/** No command takes longer. */
const LIMIT_MS = 900_000;

/** One at a time: what children this process gets meanwhile are the machine's. */
export async function startGuest<Machine extends IoMachine>(
  start: StartMachine<Machine>,
  options: Omit<IoMachineOptions, 'onOutput'>,
): Promise<RunningGuest<Machine>> {
  const dialogue = new IoDialogue();
  const before = childrenOf(process.pid);
  const machine = await start({ ...options, onOutput: dialogue.onOutput });
  const roots = childrenOf(process.pid).filter((pid) => !before.includes(pid));
  const cpu = new MachineCpu(roots, machine.vcpuThread);
  try {
    await dialogue.ready();
    // Tells which thread is the vCPU's, while the disk has done nothing yet.
    cpu.sample();
  } catch (error) {
    await machine.discard();
    throw error;
  }
  const ask = async (command: string): Promise<string> => {
    machine.send(`${command}\n`);
    const output = await dialogue.ready();
    const [result] = resultsOf(output);
    if (result === undefined) throw new Error(`${command}: no result: ${output.slice(-1500)}`);
    return result;
  };
  return { machine, cpu, ask };
}

class IoDialogue {
  #output = '';
  #hasEnded = false;
  #wake: () => void = () => undefined;

  readonly onOutput = (text: string | undefined): void => {
    if (text === undefined) this.#hasEnded = true;
    else this.#output += text.replaceAll('\r', '');
    this.#wake();
  };

  /** What the guest wrote before it said that it waits for a command. */
  async ready(): Promise<string> {
    const end = `${READY}\n`;
    const limit = performance.now() + LIMIT_MS;
    for (;;) {
      const at = this.#output.indexOf(end);
      if (at >= 0) {
        const before = this.#output.slice(0, at);
        this.#output = this.#output.slice(at + end.length);
        return before;
      }
      if (this.#hasEnded) throw new Error(`the machine has ended: ${this.#output.slice(-500)}`);
      if (performance.now() > limit) throw new Error(`no answer of the guest: ${this.#output.slice(-500)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, 1000);
      });
    }
  }
}

function resultsOf(output: string): string[] {
  const failed = /^io failed: .*$/m.exec(output);
  if (failed !== null) throw new Error(`${failed[0]}\n${output.slice(-1500)}`);
  return output
    .split('\n')
    .filter((line) => line.startsWith(RESULT))
    .map((line) => line.slice(RESULT.length));
}
