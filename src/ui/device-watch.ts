/** Looks at the machine's devices regularly while it has power, and tells what it saw. */
import type { VirtualMachine } from '../api/create-machine.ts';
import type { DeviceInfo } from '../control/info.ts';

/** The threads that own devices are woken for each look. */
const LOOK_MS = 500;

export class DeviceWatch {
  readonly #machine: () => VirtualMachine | undefined;
  readonly #onInfo: (info: DeviceInfo | undefined) => void;
  #isLooking = false;

  /** `onInfo` gets undefined while there is no power. */
  constructor(machine: () => VirtualMachine | undefined, onInfo: (info: DeviceInfo | undefined) => void) {
    this.#machine = machine;
    this.#onInfo = onInfo;
  }

  /** From now on, as long as the page is there. */
  begin(): void {
    setInterval(() => void this.look(), LOOK_MS);
  }

  async look(): Promise<void> {
    // One that does not answer gets no second question.
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      this.#onInfo(await this.#machine()?.deviceInfo());
    } catch {
      // The thread was lost: the machine's status tells that.
      this.#onInfo(undefined);
    } finally {
      this.#isLooking = false;
    }
  }
}

/** Requests of all disks, and frames of all network cards, since power-on. */
export function countOperations(info: DeviceInfo): { readonly disk: number; readonly network: number } {
  const disk = info.disks.reduce((sum, { medium }) => sum + operationsOf(medium), 0);
  const network = info.net.reduce((sum, card) => sum + card.sentFrames + card.receivedFrames, 0);
  return { disk, network };
}

function operationsOf(medium: DeviceInfo['disks'][number]['medium']): number {
  return medium === undefined ? 0 : medium.driver.operations + medium.driver.flushes;
}
