/**
 * A device whose owner is another thread: the transport's questions become synchronous exits, and that thread's dispatcher
 * turns them into calls of the device's host.
 */
import type { ExitCall, ExitCaller } from '../sync/exit-call.ts';
import type { DeviceHost } from './device-host.ts';
import type { DeviceOwner } from './owner.ts';

const OPERATION_START = 1;
const OPERATION_ENABLE_QUEUE = 2;
const OPERATION_KICK = 3;
const OPERATION_RESET = 4;
const OPERATION_CONFIG_WRITTEN = 5;

/** For `info exits`. */
export const OWNER_OPERATIONS: Readonly<Record<number, string>> = {
  [OPERATION_START]: 'start',
  [OPERATION_ENABLE_QUEUE]: 'queue enable',
  [OPERATION_KICK]: 'kick',
  [OPERATION_RESET]: 'reset',
  [OPERATION_CONFIG_WRITTEN]: 'configuration',
};

/** On a vCPU's thread, in the place of the host. */
export class RemoteOwner implements DeviceOwner {
  readonly #caller: ExitCaller;
  readonly #thread: number;
  readonly #slot: number;

  constructor(caller: ExitCaller, thread: number, slot: number) {
    this.#caller = caller;
    this.#thread = thread;
    this.#slot = slot;
  }

  start(): void {
    this.#call(OPERATION_START);
  }

  enableQueue(queue: number): void {
    this.#call(OPERATION_ENABLE_QUEUE, queue);
  }

  kick(queue: number): void {
    this.#call(OPERATION_KICK, queue);
  }

  reset(): void {
    this.#call(OPERATION_RESET);
  }

  configWritten(): void {
    this.#call(OPERATION_CONFIG_WRITTEN);
  }

  #call(operation: number, argument = 0): void {
    this.#caller.call(this.#thread, this.#slot, operation, argument);
  }
}

/** On the owner's thread: carries out a call for the device in question. Each is answered exactly once. */
export function serveOwnerCall(host: DeviceHost | undefined, call: ExitCall, answer: () => void): void {
  if (host === undefined) return answer();
  switch (call.operation) {
    case OPERATION_START:
      host.start();
      break;
    case OPERATION_ENABLE_QUEUE:
      host.enableQueue(call.argument);
      break;
    case OPERATION_KICK:
      // Not when the work is done: then `ioeventfd=off` would look worse than it is.
      host.kick(call.argument, answer);
      return;
    case OPERATION_RESET:
      // A modern driver polls device_status (4.1.4.3.2); a legacy driver takes the reset as done when its write returns.
      if (!host.isLegacy) {
        host.reset();
        break;
      }
      host.reset(answer);
      return;
    case OPERATION_CONFIG_WRITTEN:
      host.configWritten();
      break;
  }
  answer();
}
