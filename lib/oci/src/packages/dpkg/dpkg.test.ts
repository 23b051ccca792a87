import { describe, expect, it } from 'vitest';
import { parseDpkgStatus } from './dpkg.ts';

const STATUS = `Package: libssl3
Status: install ok installed
Architecture: amd64
Source: openssl
Version: 3.0.11-1~deb12u2
Description: Secure Sockets Layer toolkit
 Package: not-a-field
 .
 more

Package: libgcc-s1
Status: install ok installed
Architecture: amd64
Source: gcc-12 (12.2.0-14)
Version: 1:12.2.0-14

Package: gone
Status: deinstall ok config-files
Version: 1

Package: half
Status: install reinstreq half-configured
Version: 2
`;

describe('parseDpkgStatus()', () => {
  it('reads name, version, architecture and what each was built from', () => {
    const [ssl, gcc] = parseDpkgStatus(STATUS);
    expect(ssl).toMatchObject({
      name: 'libssl3',
      version: '3.0.11-1~deb12u2',
      architecture: 'amd64',
      source: 'openssl',
    });
    expect(ssl?.sourceVersion).toBe('3.0.11-1~deb12u2');
    expect(gcc).toMatchObject({ source: 'gcc-12', sourceVersion: '12.2.0-14', version: '1:12.2.0-14' });
  });

  it('takes what was removed for removed, and what is half installed for there', () => {
    expect([...parseDpkgStatus(STATUS)].map(({ name }) => name)).toEqual(['libssl3', 'libgcc-s1', 'half']);
  });

  it('takes a file of status.d, which has no state, for installed', () => {
    expect([...parseDpkgStatus('Package: tzdata\nVersion: 2024a-0+deb12u1\nArchitecture: all\n')]).toHaveLength(1);
  });

  it.each([
    ['', 'nothing'],
    ['\n\n\n', 'empty lines'],
    ['Package: x\n', 'no version'],
    ['Version: 1\n', 'no name'],
    [' Package: x\n Version: 1\n', 'lines that go on'],
    [':\n: \nPackage\n', 'no fields'],
  ])('%j is no package: %s', (text) => {
    expect([...parseDpkgStatus(text)]).toEqual([]);
  });

  it('takes the first of a field that stands twice, as dpkg refuses such a file', () => {
    expect([...parseDpkgStatus('Package: a\nPackage: b\nVersion: 1\n')].map(({ name }) => name)).toEqual(['a']);
  });
});
