import type { Descriptions } from './common.ts';

export const SSE: Descriptions = {};
