import { describe, expect, it } from 'vitest';
import { OciError } from '../oci-error.ts';
import { UNKNOWN_DISTRIBUTION } from './os-release.ts';
import { makePackage, type PackageType } from './package-fact.ts';
import { parsePurl, renderPurl } from './purl.ts';

const DEBIAN = { ...UNKNOWN_DISTRIBUTION, id: 'debian', version: '12', codename: 'bookworm' };

describe('renderPurl()', () => {
  it.each<readonly [PackageType, Readonly<Record<string, string>>, string]>([
    [
      'deb',
      { name: 'libstdc++6', version: '12.2.0-14', architecture: 'amd64', source: 'gcc-12' },
      'pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64&distro=debian-12&upstream=gcc-12',
    ],
    [
      'rpm',
      { name: 'openssl', version: '1:3.0.7-24.el9', architecture: 'x86_64' },
      'pkg:rpm/debian/openssl@3.0.7-24.el9?arch=x86_64&distro=debian-12&epoch=1',
    ],
    ['npm', { name: '@angular/core', version: '17.0.0' }, 'pkg:npm/%40angular/core@17.0.0'],
    ['pypi', { name: 'Jinja2_x', version: '3.1' }, 'pkg:pypi/jinja2-x@3.1'],
    ['golang', { name: 'github.com/a/b', version: 'v1.2.3' }, 'pkg:golang/github.com/a/b@v1.2.3'],
    ['maven', { name: 'org.apache:commons', version: '1.0' }, 'pkg:maven/org.apache/commons@1.0'],
    ['cargo', { name: 'serde', version: '1.0.0+x' }, 'pkg:cargo/serde@1.0.0%2Bx'],
  ])('%s %o: %s, and back', (type, fields, expected) => {
    const found = makePackage(type, fields);
    if (found === undefined) throw new Error('no package');
    const purl = renderPurl(found, DEBIAN);
    expect(purl).toBe(expected);
    const parsed = parsePurl(purl);
    expect(parsed?.package).toEqual(type === 'pypi' ? { ...found, name: 'jinja2-x', source: 'jinja2-x' } : found);
    expect(parsed?.distro).toBe(['deb', 'rpm'].includes(type) ? 'debian-12' : '');
  });
});

describe('parsePurl()', () => {
  it('takes a scope whose sign is not encoded, and what Syft writes for the source of an RPM', () => {
    expect(parsePurl('pkg:npm/@angular/core@1.0.0')?.package.name).toBe('@angular/core');
    const rpm = parsePurl('pkg:rpm/rhel/openssl-libs@3.0.7-24.el9?epoch=1&upstream=openssl-3.0.7-24.el9.src.rpm');
    expect(rpm?.package).toMatchObject({ version: '1:3.0.7-24.el9', source: 'openssl' });
  });

  it('has nothing to say of other types, nor of a package without a version', () => {
    expect(parsePurl('pkg:generic/x@1')).toBeUndefined();
    expect(parsePurl('pkg:npm/x')).toBeUndefined();
  });

  it.each([['npm/x@1'], ['pkg:'], ['pkg:npm/%zz@1'], [`pkg:npm/${'x'.repeat(5000)}@1`]])('refuses %s', (text) => {
    expect(() => parsePurl(text)).toThrow(OciError);
  });
});
