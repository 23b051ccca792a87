import { describe, expect, it } from 'vitest';
import { makeImage, type MadeFile } from '../../testing/make-image.ts';
import { INSPECTORS } from '../inspection/catalogue.ts';
import { installedPackages, type ImagePackages } from './installed-packages.ts';

const status = (...packages: readonly string[]): string =>
  packages
    .map((each) => each.split(' '))
    .map(
      ([name, version]) => `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: ${version}\n`,
    )
    .join('\n');
const STATUS = 'var/lib/dpkg/status';

describe('installedPackages()', () => {
  it('counts what the topmost database says, each from the layer that brought it', () => {
    const { packages } = packagesOf(
      { [STATUS]: status('libc6 2.36-9', 'curl 7.88-1', 'gone 1') },
      { [STATUS]: status('libc6 2.36-9', 'curl 7.88-2') },
      { [STATUS]: status('libc6 2.36-9', 'curl 7.88-2', 'git 2') },
    );
    expect(packages.map(({ name, version, layer }) => `${name} ${version} ${layer}`)).toEqual([
      'libc6 2.36-9 0',
      'curl 7.88-2 1',
      'git 2 2',
    ]);
  });

  it('takes what was removed and installed again for new', () => {
    const { packages } = packagesOf(
      { [STATUS]: status('a 1') },
      { [STATUS]: status('b 1') },
      { [STATUS]: status('a 1') },
    );
    expect(packages.map(({ name, layer }) => `${name} ${layer}`)).toEqual(['a 2']);
  });

  it('does not count what a later layer deleted', () => {
    expect(
      packagesOf(
        {
          'var/lib/dpkg/status.d/tzdata': 'Package: tzdata\nVersion: 1\n',
          'var/lib/dpkg/status.d/x': 'Package: x\nVersion: 1\n',
        },
        { 'var/lib/dpkg/status.d/.wh.x': '' },
      ).packages.map(({ name }) => name),
    ).toEqual(['tzdata']);
  });

  it('says which distribution it is, by the file that a container reads', () => {
    const { distribution } = packagesOf(
      { 'usr/lib/os-release': 'ID=debian\nVERSION_ID="11"\n' },
      { 'usr/lib/os-release': 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian 12"\n' },
    );
    expect(distribution).toEqual({ id: 'debian', version: '12', codename: 'bookworm', idLike: [], name: 'Debian 12' });
    expect(packagesOf({}).distribution.id).toBe('');
  });

  it('says what is there and could not be read', () => {
    const { packages, unread } = packagesOf({ 'var/lib/rpm/rpmdb.sqlite': 'not a database, but long enough' });
    expect(packages).toEqual([]);
    expect(unread).toEqual([{ path: 'var/lib/rpm/rpmdb.sqlite', layer: 0, why: expect.stringContaining('magic') }]);
  });
});

function packagesOf(...layers: readonly Readonly<Record<string, MadeFile>>[]): ImagePackages {
  return installedPackages(makeImage({ layers, inspectors: INSPECTORS }));
}
