// What the tools of other formats make is recognised by name, label and identifier.
import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { missingTools, runTool, TemporaryFolder } from '../testing/tools.ts';
import { FileSource } from './node/file-source.ts';
import { recognise, type Recognised } from './recognised.ts';

const UUID = '12345678-9abc-4ef0-8234-56789abcdef0';

describe('recognise()', () => {
  const folder = new TemporaryFolder();
  afterAll(() => folder[Symbol.dispose]());

  function made(mebibytes: number, ...argv: readonly string[]): Recognised | undefined {
    const path = folder.at('volume');
    writeFileSync(path, '');
    runTool(['truncate', '-s', '0', path]);
    runTool(['truncate', '-s', `${mebibytes}M`, path]);
    runTool([...argv, path]);
    using source = FileSource.open(path);
    return recognise(source);
  }

  const nothing = { label: '', uuid: '', encrypted: false, hibernated: false };

  test.skipIf(missingTools('mkfs.btrfs') !== '')(`btrfs${missingTools('mkfs.btrfs')}`, () => {
    const found = made(120, 'mkfs.btrfs', '-q', '-L', 'data', '-U', UUID);
    expect(found).toEqual({ ...nothing, format: 'btrfs', label: 'data', uuid: UUID });
  });

  test.skipIf(missingTools('mkswap') !== '')(`swap${missingTools('mkswap')}`, () => {
    expect(made(1, 'mkswap', '-L', 'pages', '-U', UUID)).toEqual({
      ...nothing,
      format: 'swap',
      label: 'pages',
      uuid: UUID,
    });
    expect(made(1, 'mkswap', '-p', '65536', '-U', UUID)).toEqual({ ...nothing, format: 'swap', uuid: UUID });
  });

  test.skipIf(missingTools('cryptsetup') !== '')(`LUKS${missingTools('cryptsetup')}`, () => {
    const format = [
      'cryptsetup',
      'luksFormat',
      '-q',
      '--pbkdf',
      'pbkdf2',
      '--pbkdf-force-iterations',
      '1000',
      '--uuid',
      UUID,
    ];
    const key = folder.at('key');
    writeFileSync(key, 'secret');
    const luks2 = made(20, ...format, '--key-file', key, '--type', 'luks2', '--label', 'vault');
    expect(luks2).toEqual({ ...nothing, format: 'luks', label: 'vault', uuid: UUID, encrypted: true });
    const luks1 = made(20, ...format, '--key-file', key, '--type', 'luks1');
    expect(luks1).toEqual({ ...nothing, format: 'luks', uuid: UUID, encrypted: true });
  });
});
