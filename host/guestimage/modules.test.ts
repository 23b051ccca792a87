import { describe, expect, it } from 'vitest';
import { loadOrder, moduleName, type ModuleSource } from './modules.ts';

function source(modules: Readonly<Record<string, readonly string[]>>): ModuleSource {
  return {
    paths: new Map(Object.keys(modules).map((path) => [moduleName(path), path])),
    dependenciesOf: (path) => Promise.resolve(modules[path] ?? []),
  };
}

describe('loadOrder()', () => {
  it('puts each module after everything that it needs, once', async () => {
    const modules = source({
      'md/dm-crypt.ko': ['dm-mod'],
      'md/dm-verity.ko': ['reed_solomon', 'dm-mod', 'dm-bufio'],
      'md/dm-mod.ko': [],
      'md/dm-bufio.ko': ['dm-mod'],
      'lib/reed_solomon.ko': [],
      'net/unwanted.ko': [],
    });
    expect(await loadOrder(['dm_verity', 'dm_crypt'], modules)).toEqual([
      'lib/reed_solomon.ko',
      'md/dm-mod.ko',
      'md/dm-bufio.ko',
      'md/dm-verity.ko',
      'md/dm-crypt.ko',
    ]);
  });

  it('names a module that the kernel does not have, and who wants it', async () => {
    await expect(loadOrder(['a'], source({ 'a.ko': ['b'] }))).rejects.toMatchObject({
      code: 'image-failed',
      message: 'the kernel package has no module a → b',
    });
  });

  it('ends where modules need each other', async () => {
    await expect(loadOrder(['a'], source({ 'a.ko': ['b'], 'b.ko': ['a'] }))).rejects.toThrow('a → b → a');
  });
});
