/** Why a setting cannot be used, in a person's words. */
import { failure } from '../base/result.ts';
import type { Result } from '../base/result.ts';

export interface ConfigError {
  /** As the user wrote it: `-smp` on a command line, `smp` in a URL. */
  readonly option: string;
  /** What is wrong; names the option. */
  readonly message: string;
  /** What to do about it. */
  readonly advice: string;
}

export function configError(option: string, message: string, advice: string): Result<never, ConfigError> {
  return failure({ option, message, advice });
}
