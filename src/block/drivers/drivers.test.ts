import { describe, expect, it } from 'vitest';
import type { ContractTarget } from '../driver-contract.ts';
import { contractCasesFor, runContractCase } from '../driver-contract.ts';
import { FakeOpfs } from '../fake-opfs.ts';
import type { FakeOpfsOptions } from '../fake-opfs.ts';
import { MemoryDriver } from './memory.ts';
import { OpfsDriver } from './opfs.ts';

const atOnce = async (): Promise<void> => {};

function opfsTarget(name: string, options: FakeOpfsOptions): ContractTarget {
  return {
    name,
    readOnly: false,
    persistent: true,
    async create(contents) {
      const opfs = new FakeOpfs(options);
      opfs.put('disk', contents);
      const file = await opfs.getFileHandle('disk');
      return {
        open: async () => new OpfsDriver(await file.createSyncAccessHandle(), { readOnly: false }),
        wait: atOnce,
        dispose: atOnce,
      };
    },
  };
}

function memoryTarget(): ContractTarget {
  return {
    name: 'memory',
    readOnly: false,
    persistent: false,
    create: async (contents) => ({
      open: async () => {
        const driver = new MemoryDriver({
          sizeBytes: contents.length,
          limitBytes: 64 * 1024 * 1024,
          readOnly: false,
        });
        driver.submit({
          kind: 'write',
          offset: 0,
          length: contents.length,
          segments: [contents],
          unmap: false,
          done: (status) => expect(status).toBe('ok'),
        });
        return driver;
      },
      wait: atOnce,
      dispose: atOnce,
    }),
  };
}

describe.each([
  opfsTarget('opfs', {}),
  opfsTarget('opfs without shared views', { sharedViews: false }),
  memoryTarget(),
])('driver $name', (target) => {
  it.each(contractCasesFor(target))('$name', async (contractCase) => {
    await expect(runContractCase(target, contractCase)).resolves.toBeUndefined();
  });
});
