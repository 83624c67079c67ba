/**
 * Calls the functions of a module once where they can do no harm: the engine's baseline compiler runs at a function's first call,
 * and its code goes with the module to the threads that the module is posted to.
 */
import { CORE_FUNCTIONS, signatureOf } from '../layout/core-abi.ts';
import { VCPU_BASE, VCPU_STRIDE } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';

const PAGE_BYTES = 65536;
const MAX_PAGES = 65536;
type RegionFunction = (cpu: number, entry: number) => number;

export class WarmUp {
  /** An empty vCPU and nothing else. */
  readonly #memory = new WebAssembly.Memory({
    initial: (VCPU_BASE + VCPU_STRIDE) / PAGE_BYTES,
    maximum: MAX_PAGES,
    shared: true,
  });
  readonly #words = new Int32Array(this.#memory.buffer);
  readonly #imports: WebAssembly.Imports;

  constructor() {
    // Every address is 0, a fault; every status "goes on".
    const core = Object.entries(CORE_FUNCTIONS).map(([name, fn]) => {
      const isWide = signatureOf(fn).results[0] === 'i64';
      return [name, isWide ? () => 0n : () => 0] as const;
    });
    this.#imports = {
      env: { memory: this.#memory, regions: new WebAssembly.Table({ element: 'anyfunc', initial: 1 }) },
      core: Object.fromEntries(core),
      // Conditions: condition0, condition2, ...
      interpreter: Object.fromEntries(Array.from({ length: 16 }, (_, code) => [`condition${code}`, () => 0])),
    };
  }

  call(module: WebAssembly.Module): void {
    const { exports } = new WebAssembly.Instance(module, this.#imports);
    for (const region of Object.values(exports)) {
      // Nothing left to run: no loop goes round.
      this.#words[(VCPU_BASE + VCPU.at.budget) >>> 2] = 0;
      this.#words[(VCPU_BASE + VCPU.at.refund) >>> 2] = 0;
      try {
        (region as RegionFunction)(VCPU_BASE, 0);
      } catch {
        // A trap in nonsense: it was compiled all the same.
      }
    }
  }
}
