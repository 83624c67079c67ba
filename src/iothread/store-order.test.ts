import { arch } from 'node:process';
import { expect, it } from 'vitest';
import { hasStoreOrder } from './store-order.ts';

it('an x86 host keeps the order of stores; any other is not trusted to', () => {
  expect(hasStoreOrder()).toBe(['x64', 'ia32'].includes(arch));
});
