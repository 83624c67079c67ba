/** A stream that can be held up and given up from outside: pause and cancel of what a user started. */
export class SteeredStream {
  readonly readable: ReadableStream<Uint8Array>;
  #gate: Promise<void> | undefined;
  #open: (() => void) | undefined;
  #cancelled = false;

  constructor(source: ReadableStream<Uint8Array>) {
    const reader = source.getReader();
    this.readable = new ReadableStream(
      {
        pull: async (controller) => {
          await this.#gate;
          if (this.#cancelled) {
            await reader.cancel();
            controller.error(new Error('cancelled'));
            return;
          }
          const { done, value } = await reader.read();
          if (done) controller.close();
          else controller.enqueue(value);
        },
        cancel: (reason) => reader.cancel(reason),
      },
      // Nothing is read ahead: what a pause holds up is all that comes.
      { highWaterMark: 0 },
    );
  }

  get isCancelled(): boolean {
    return this.#cancelled;
  }

  steer(how: 'pause' | 'resume' | 'cancel'): void {
    if (how === 'pause') {
      this.#gate ??= new Promise((resolve) => {
        this.#open = resolve;
      });
      return;
    }
    this.#cancelled ||= how === 'cancel';
    this.#open?.();
    this.#gate = undefined;
    this.#open = undefined;
  }
}
