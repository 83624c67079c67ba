/**
 * What the transport, which runs on vCPUs' threads, asks of the thread that owns the device. In one process it is the
 * device's host itself; with an iothread it is a synchronous exit to that thread, and each call returns when it is done
 * there. The transport holds no lock while it calls.
 */
export interface DeviceOwner {
  /** DRIVER_OK was set: the queues enabled by now may be used. */
  start(): void;
  /** A queue was enabled after DRIVER_OK. */
  enableQueue(queue: number): void;
  /** A kick that no doorbell took. Returns when the device has popped the queue: what it popped may be under way still. */
  kick(queue: number): void;
  /** `resetting` is set. device_status becomes 0 when nothing of the device touches guest memory any more. */
  reset(): void;
  /** The driver has written to configuration space. */
  configWritten(): void;
}
