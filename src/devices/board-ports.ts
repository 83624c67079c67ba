/** Small ports of the board: fast A20 and reset (92h), reset control (CF9h), POST code (80h), debug exit. */
import { RESET_PORT } from '../base/platform.ts';
import type { Views } from '../base/views.ts';
import { BOARD, BOARD_ADDRESS } from '../layout/devices.ts';
import type { IoBus } from './io-bus.ts';

const A20 = (BOARD_ADDRESS + BOARD.at.a20) >>> 2;
const PORT92 = (BOARD_ADDRESS + BOARD.at.port92) >>> 2;
const RESET_CONTROL = (BOARD_ADDRESS + BOARD.at.resetControl) >>> 2;
const POST = (BOARD_ADDRESS + BOARD.at.post) >>> 2;

/** What devices ask of the machine. The vCPU's thread carries it out after the instruction. */
export interface MachineRequests {
  reset(): void;
  powerOff(): void;
  /** `status` is the exit status of the emulator: QEMU's isa-debug-exit convention. */
  debugExit(status: number): void;
  /** Address line 20 of all CPUs. */
  setA20(enabled: boolean): void;
}

/** The A20 gate: on from power-on, as firmware leaves it. */
export class A20Gate {
  readonly #u32: Uint32Array;
  readonly #onChange: (enabled: boolean) => void;

  constructor(views: Views, onChange: (enabled: boolean) => void) {
    this.#u32 = views.u32;
    this.#onChange = onChange;
  }

  get enabled(): boolean {
    return this.#u32[A20] !== 0;
  }

  set(enabled: boolean): void {
    if (this.enabled === enabled) return;
    this.#u32[A20] = enabled ? 1 : 0;
    this.#onChange(enabled);
  }
}

export interface BoardPortsOptions {
  readonly views: Views;
  readonly requests: MachineRequests;
  readonly a20: A20Gate;
  /** First port and size of isa-debug-exit, if the machine has one. */
  readonly debugExit?: { readonly port: number; readonly size: 1 | 2 | 4 };
}

export class BoardPorts {
  readonly #u32: Uint32Array;
  readonly #a20: A20Gate;
  readonly #requests: MachineRequests;
  readonly #debugExit: BoardPortsOptions['debugExit'];

  constructor(options: BoardPortsOptions) {
    this.#u32 = options.views.u32;
    this.#a20 = options.a20;
    this.#requests = options.requests;
    this.#debugExit = options.debugExit;
  }

  reset(): void {
    this.#u32[PORT92] = 0;
    this.#u32[RESET_CONTROL] = 0;
    this.#u32[POST] = 0;
    this.#a20.set(true);
  }

  /** The last code written to port 80h. */
  get postCode(): number {
    return this.#u32[POST]!;
  }

  attach(bus: IoBus): void {
    const u32 = this.#u32;
    bus.addPorts('port92', 0x92, 1, [1], {
      read: () => u32[PORT92]! | (this.#a20.enabled ? 2 : 0),
      write: (_, value) => {
        // Bit 0 going from 0 to 1 resets the CPU.
        const reset = (value & ~u32[PORT92]! & 1) !== 0;
        u32[PORT92] = value & ~2;
        this.#a20.set((value & 2) !== 0);
        if (reset) this.#requests.reset();
      },
    });
    bus.addPorts('reset', RESET_PORT, 1, [1], {
      read: () => u32[RESET_CONTROL]!,
      write: (_, value) => {
        // RST_CPU (bit 2) acts and reads as zero; SYS_RST (bit 1) says how hard, which is the same here (82371SB 2.5.5.1).
        u32[RESET_CONTROL] = value & 2;
        if ((value & 4) !== 0) this.#requests.reset();
      },
    });
    bus.addPorts('post', 0x80, 1, [1], {
      read: () => u32[POST]!,
      write: (_, value) => {
        u32[POST] = value;
      },
    });
    const debugExit = this.#debugExit;
    if (debugExit !== undefined) {
      const widths = ([1, 2, 4] as const).filter((bytes) => bytes <= debugExit.size);
      bus.addPorts('debug-exit', debugExit.port, debugExit.size, widths, {
        read: () => 0,
        write: (_, value) => this.#requests.debugExit(((value << 1) | 1) >>> 0),
      });
    }
  }
}
