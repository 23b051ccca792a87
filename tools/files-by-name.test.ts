import { dirname, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { importFromFiles, type Sources } from './files-by-name.ts';

const FILES: Readonly<Record<string, string>> = {
  '/disk/index.ts': [
    "export { openDisk, type Disk } from './open.ts';",
    "export { DiskError as BrokenDisk } from './error.ts';",
    "export type { Sector } from './sector.ts';",
    "export { ext4 } from './systems/index.ts';",
    "export * from './limits.ts';",
  ].join('\n'),
  '/disk/systems/index.ts': "export { read as ext4 } from './ext4.ts';",
  '/disk/limits.ts': 'export const MAX: number = 1;\nexport async function count() {}\nexport interface Never {}\n',
};
const SOURCES: Sources = {
  read: (file) => FILES[file] ?? '',
  // oxlint-disable-next-line require-await -- as a resolver
  find: async (specifier, importer) =>
    specifier.startsWith('@ringwall/disk') ? '/disk/index.ts' : resolve(dirname(importer), specifier),
};
const rewritten = (source: string): Promise<string> => importFromFiles(source, '/app/main.ts', SOURCES);

describe('importFromFiles()', () => {
  test('takes each value from the file that declares it, by the name that it has here', async () => {
    expect(await rewritten("import { BrokenDisk, ext4 as linux, openDisk, type Disk } from '@ringwall/disk';\n")).toBe(
      "import { DiskError as BrokenDisk } from '/disk/error.ts'; import { read as linux } from '/disk/systems/ext4.ts'; import { openDisk } from '/disk/open.ts';\n",
    );
  });

  test('finds what a list gives on whole, and passes its types over', async () => {
    expect(await rewritten("import { MAX, count } from '@ringwall/disk';\n")).toBe(
      "import { MAX } from '/disk/limits.ts'; import { count } from '/disk/limits.ts';\n",
    );
    await expect(rewritten("import { Never } from '@ringwall/disk';\n")).rejects.toThrow('has no Never');
  });

  test('keeps every line where it was', async () => {
    const source = "import {\n  openDisk,\n} from '../disk/index.ts';\nopenDisk();\n";
    expect((await rewritten(source)).split('\n')).toEqual([
      "import { openDisk } from '/disk/open.ts';",
      '',
      '',
      'openDisk();',
      '',
    ]);
  });

  test('takes what is loaded on demand from its file, where one file has it all', async () => {
    expect(await rewritten("  const { openDisk } = await import('@ringwall/disk');\n")).toBe(
      "  const { openDisk } = await import('/disk/open.ts');\n",
    );
  });

  test.each([
    "import type { Disk } from '@ringwall/disk';\n",
    "import { join } from './path.ts';\n",
    "import { hash } from 'node:crypto';\n",
    "const { openDisk, ext4 } = await import('@ringwall/disk');\n",
    "const { BrokenDisk } = await import('@ringwall/disk');\n",
    "const { openDisk } = await import('./open.ts');\n",
  ])('leaves %j', async (source) => {
    expect(await rewritten(source)).toBe(source);
  });
});
