import type { Descriptions } from './common.ts';
import { gateAll } from './sse-common.ts';
import { SSE_CONVERT } from './sse-convert.ts';
import { SSE_FLOAT } from './sse-float.ts';
import { SSE_INTEGER } from './sse-integer.ts';
import { SSE_MOVE } from './sse-move.ts';
import { SSE_SHUFFLE } from './sse-shuffle.ts';
import { SSE_STRING } from './sse-string.ts';

/** MMX, SSE to SSE4.2: everything that works on XMM or MMX registers. */
export const SSE: Descriptions = gateAll({
  ...SSE_MOVE,
  ...SSE_INTEGER,
  ...SSE_SHUFFLE,
  ...SSE_FLOAT,
  ...SSE_CONVERT,
  ...SSE_STRING,
});
