/** The console device with one port (virtio 1.2, 5.3): a receive queue, a transmit queue, and a size. */
import type { DeviceContext, DeviceHostLink, DeviceIdentity, DeviceQueue, VirtioDevice } from './device.ts';
import type { DescriptorChain } from './queue.ts';
import { readSegments, writeSegments } from './segments.ts';

/** The other end: a terminal. All bytes are private copies. */
export interface ConsoleBackend {
  /** Takes output of the guest and returns how many bytes had room; `outputReady` follows when there is more. */
  write(bytes: Uint8Array<ArrayBuffer>): number;
  /** At most `limit` bytes of input; `inputReady` was called when there were any. */
  read(limit: number): Uint8Array;
}

export interface ConsoleSize {
  readonly columns: number;
  readonly rows: number;
}

export interface VirtioConsoleOptions {
  readonly name: string;
  readonly backend: ConsoleBackend;
  readonly size?: ConsoleSize;
}

const VIRTIO_ID_CONSOLE = 3;
const VIRTIO_CONSOLE_F_SIZE = 0;
const VIRTIO_CONSOLE_F_EMERG_WRITE = 2;
const RECEIVE_QUEUE = 0;
const TRANSMIT_QUEUE = 1;
const QUEUE_SIZE = 64;
/** How much output is taken out of guest memory at a time. */
const CHUNK_BYTES = 4096;

// --- 5.3.4, struct virtio_console_config
const CONFIG_COLS = 0;
const CONFIG_ROWS = 2;
const CONFIG_MAX_NR_PORTS = 4;
const CONFIG_EMERG_WR = 8;
const CONFIG_BYTES = 12;

export const VIRTIO_CONSOLE_WRITABLE_CONFIG = [{ offset: CONFIG_EMERG_WR, bytes: 4 }] as const;

/** Output that the backend had no room for: the rest of a chain. */
interface Waiting {
  readonly chain: DescriptorChain;
  done: number;
}

export class VirtioConsole implements VirtioDevice {
  readonly identity: DeviceIdentity;
  readonly #backend: ConsoleBackend;
  #host: DeviceHostLink | undefined;
  #context: DeviceContext | undefined;
  #waiting: Waiting | undefined;

  constructor({ name, backend, size = { columns: 80, rows: 25 } }: VirtioConsoleOptions) {
    this.#backend = backend;
    const config = new Uint8Array(CONFIG_BYTES);
    const data = new DataView(config.buffer);
    setSize(data, size);
    data.setUint32(CONFIG_MAX_NR_PORTS, 1, true);
    this.identity = {
      name,
      type: VIRTIO_ID_CONSOLE,
      queueSizes: [QUEUE_SIZE, QUEUE_SIZE],
      features: [VIRTIO_CONSOLE_F_SIZE, VIRTIO_CONSOLE_F_EMERG_WRITE],
      config,
      writableConfig: VIRTIO_CONSOLE_WRITABLE_CONFIG,
    };
  }

  connect(host: DeviceHostLink): void {
    this.#host = host;
  }

  start(context: DeviceContext): void {
    this.#context = context;
  }

  serve(index: number): void {
    if (index === RECEIVE_QUEUE) this.inputReady();
    else if (index === TRANSMIT_QUEUE) this.outputReady();
  }

  stop(then: () => void): void {
    this.#context = undefined;
    this.#waiting = undefined;
    then();
  }

  /** The backend has input. What finds no buffer stays there. */
  inputReady(): void {
    const context = this.#context;
    const queue = context?.queue(RECEIVE_QUEUE);
    if (context === undefined || queue === undefined) return;
    for (let chain = queue.next(); chain !== undefined; chain = queue.next()) {
      const bytes = this.#backend.read(chain.writableBytes);
      if (bytes.length === 0 && chain.writableBytes > 0) {
        queue.giveBack(chain);
        break;
      }
      queue.complete(chain, writeSegments(context.memory, chain.writable, 0, bytes));
    }
    queue.flush();
  }

  /** The backend has room for output. */
  outputReady(): void {
    const context = this.#context;
    const queue = context?.queue(TRANSMIT_QUEUE);
    if (context === undefined || queue === undefined) return;
    const turn = context.turn();
    for (let next = this.#take(queue); next !== undefined; next = this.#take(queue)) {
      if (!this.#send(context, next)) {
        this.#waiting = next;
        break;
      }
      queue.complete(next.chain, 0);
      if (turn.goesOn(next.chain.readableBytes)) continue;
      context.serveAgain(TRANSMIT_QUEUE);
      break;
    }
    queue.flush();
  }

  #take(queue: DeviceQueue): Waiting | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) return waiting;
    const chain = queue.next();
    return chain === undefined ? undefined : { chain, done: 0 };
  }

  /** True if all of it is out. */
  #send(context: DeviceContext, waiting: Waiting): boolean {
    const { chain } = waiting;
    while (waiting.done < chain.readableBytes) {
      const bytes = readSegments(context.memory, chain.readable, waiting.done, CHUNK_BYTES);
      const taken = this.#backend.write(bytes);
      waiting.done += taken;
      if (taken < bytes.length) return false;
    }
    return true;
  }

  /** The terminal has another size (5.3.4). */
  resize(size: ConsoleSize): void {
    this.#host?.updateConfig((config) => setSize(config, size));
  }

  /** emerg_wr: a character without any queue (5.3.5.1). */
  configWritten(config: DataView): void {
    this.#backend.write(Uint8Array.of(config.getUint32(CONFIG_EMERG_WR, true) & 0xff));
  }
}

function setSize(config: DataView, { columns, rows }: ConsoleSize): void {
  config.setUint16(CONFIG_COLS, columns, true);
  config.setUint16(CONFIG_ROWS, rows, true);
}
