/** The page of e2e/block, as a test sees it: it opens disks without a machine. */
import type { DiskCommands } from './block/messages.ts';

export type Returned<C extends keyof DiskCommands> = Awaited<ReturnType<DiskCommands[C]>>;

/** What that page offers. */
export type DiskWindow = Window & { disk(command: string, ...args: unknown[]): Promise<unknown> };
