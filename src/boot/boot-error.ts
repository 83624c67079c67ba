/** Why a guest cannot be started, in a person's words. */
import type { Result } from '../base/result.ts';
import { failure } from '../base/result.ts';

export type BootErrorKind = 'bad-kernel' | 'bad-initrd' | 'memory-too-small' | 'unsupported';

export interface BootError {
  readonly kind: BootErrorKind;
  /** What happened. */
  readonly message: string;
  /** What to do about it. */
  readonly advice: string;
}

export function bootError(kind: BootErrorKind, message: string, advice: string): Result<never, BootError> {
  return failure({ kind, message, advice });
}

/** Sizes for messages: rounded up, so that following the advice is enough. */
export function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 0x10_0000)} MiB`;
}
