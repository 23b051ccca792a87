import { describe, expect, test } from 'vitest';
import { takeByName } from './builtins-by-name.ts';

describe('takeByName()', () => {
  test('takes values by name, under the name that they have here', () => {
    expect(takeByName("// A file.\nimport { hash as digest, type Hash } from 'node:crypto';\n")).toBe(
      "// A file.\nconst { hash: digest } = process.getBuiltinModule('node:crypto');\n",
    );
  });

  test('keeps every line where it was', () => {
    const source = "import {\n  existsSync,\n  readFileSync,\n} from 'node:fs';\nreadFileSync(existsSync);\n";
    const taken = takeByName(source);
    expect(taken.split('\n')).toHaveLength(source.split('\n').length);
    expect(taken.split('\n')[4]).toBe('readFileSync(existsSync);');
  });

  test.each([
    "import type * as Zlib from 'node:zlib';\n",
    "import type { Socket } from 'node:net';\n",
    "import { join } from './path.ts';\n",
    "import { Cursor } from '@ringwall/bytes';\n",
    'const text = "import { x } from \'node:fs\';";\n',
  ])('leaves %j', (source) => {
    expect(takeByName(source)).toBe(source);
  });

  test('of types alone nothing is left', () => {
    expect(takeByName("import { type Cipheriv } from 'node:crypto';\n")).toBe('\n');
  });
});
