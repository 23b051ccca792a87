import { assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OciError } from '../oci-error.ts';
import { unicodeHost } from './host.ts';
import {
  canonicalName,
  canonicalReference,
  familiarReference,
  parseDigest,
  parseReference,
  withDefaultTag,
  type Reference,
} from './reference.ts';

const SHA256 = 'sha256:dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8b3dbe638c23575912276fc9c';
const SHA512 = `sha512:${'f'.repeat(128)}`;
const HEX64 = '1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a';

function parsedOrRefused(text: string): Reference | 'refused' {
  try {
    return parseReference(text);
  } catch (error) {
    if (error instanceof OciError) return 'refused';
    throw error;
  }
}

describe('parseReference()', () => {
  // What distribution/reference itself is tested with: input, canonical form, familiar form.
  it.each([
    ['redis', 'docker.io/library/redis', 'redis'],
    ['redis:latest', 'docker.io/library/redis:latest', 'redis:latest'],
    ['docker.io/library/redis:latest', 'docker.io/library/redis:latest', 'redis:latest'],
    ['docker.io/redis', 'docker.io/library/redis', 'redis'],
    ['index.docker.io/library/foo', 'docker.io/library/foo', 'foo'],
    ['index.docker.io/foo/bar', 'docker.io/foo/bar', 'foo/bar'],
    ['library/ubuntu', 'docker.io/library/ubuntu', 'ubuntu'],
    ['nonlibrary/ubuntu', 'docker.io/nonlibrary/ubuntu', 'nonlibrary/ubuntu'],
    ['other/library', 'docker.io/other/library', 'other/library'],
    ['library/foo/bar', 'docker.io/library/foo/bar', 'library/foo/bar'],
    ['store/foo/bar', 'docker.io/store/foo/bar', 'store/foo/bar'],
    ['library/ubuntu-12.04-base', 'docker.io/library/ubuntu-12.04-base', 'ubuntu-12.04-base'],
    ['127.0.0.1:8000/private/moonbase', '127.0.0.1:8000/private/moonbase', '127.0.0.1:8000/private/moonbase'],
    ['example.com/privatebase', 'example.com/privatebase', 'example.com/privatebase'],
    ['Foo/bar', 'Foo/bar', 'Foo/bar'],
    ['FOO/bar', 'FOO/bar', 'FOO/bar'],
    ['test_com/foo', 'docker.io/test_com/foo', 'test_com/foo'],
    ['test-com:8080/foo', 'test-com:8080/foo', 'test-com:8080/foo'],
    ['test:5000/repo', 'test:5000/repo', 'test:5000/repo'],
    ['test.com:5000', 'docker.io/library/test.com:5000', 'test.com:5000'],
    ['localhost:8080', 'docker.io/library/localhost:8080', 'localhost:8080'],
    ['localhost/foo', 'localhost/foo', 'localhost/foo'],
    ['lowercase:Uppercase', 'docker.io/library/lowercase:Uppercase', 'lowercase:Uppercase'],
    ['foo/foo_bar.com:8080', 'docker.io/foo/foo_bar.com:8080', 'foo/foo_bar.com:8080'],
    ['192.168.1.1', 'docker.io/library/192.168.1.1', '192.168.1.1'],
    ['192.168.1.1:5000/repo:5050', '192.168.1.1:5000/repo:5050', '192.168.1.1:5000/repo:5050'],
    ['[2001:db8::1]:5000/repo:tag', '[2001:db8::1]:5000/repo:tag', '[2001:db8::1]:5000/repo:tag'],
    ['[fc00:1:2:3:4:5:6:7]:5000/library/debian', '[fc00:1:2:3:4:5:6:7]:5000/library/debian', undefined],
    ['xn--n3h.com:18080/foo:xn--n3h.com', 'xn--n3h.com:18080/foo:xn--n3h.com', undefined],
    [`xn--7o8h.com/myimage:xn--7o8h.com@${SHA512}`, `xn--7o8h.com/myimage:xn--7o8h.com@${SHA512}`, undefined],
    [
      'b.gcr.io/test.example.com/my-app:test.example.com',
      'b.gcr.io/test.example.com/my-app:test.example.com',
      undefined,
    ],
    [
      'registry.io/foo/project--id.module--name.ver---sion--name',
      'registry.io/foo/project--id.module--name.ver---sion--name',
      undefined,
    ],
    ['example.com/some_separator__underscore/myimage', 'example.com/some_separator__underscore/myimage', undefined],
    [`redis@${SHA256}`, `docker.io/library/redis@${SHA256}`, `redis@${SHA256}`],
    [`busybox:latest@${SHA256}`, `docker.io/library/busybox:latest@${SHA256}`, `busybox:latest@${SHA256}`],
    [`docker.io/${HEX64}`, `docker.io/library/${HEX64}`, `docker.io/library/${HEX64}`],
    ['docker---rules/docker', 'docker.io/docker---rules/docker', 'docker---rules/docker'],
    ['dock__er/docker', 'docker.io/dock__er/docker', 'dock__er/docker'],
    ['jess/t', 'docker.io/jess/t', 'jess/t'],
    ['0101.com/a', '0101.com/a', '0101.com/a'],
    // One image, one name: where this parser goes on.
    ['DOCKER.IO/nginx', 'docker.io/library/nginx', 'nginx'],
    ['Index.Docker.io/nginx', 'docker.io/library/nginx', 'nginx'],
    ['LOCALHOST/foo', 'localhost/foo', 'localhost/foo'],
    ['ghcr.io:0443/a/b', 'ghcr.io:443/a/b', 'ghcr.io:443/a/b'],
    ['[2001:0DB8:85a3:0000:0000:8a2e:0370:7334]:5000/a', '[2001:db8:85a3::8a2e:370:7334]:5000/a', undefined],
    ['bücher.example/a', 'xn--bcher-kva.example/a', 'xn--bcher-kva.example/a'],
    ['例え.テスト/a', 'xn--r8jz45g.xn--zckzah/a', undefined],
    // The short form would be read as a host.
    ['docker.io/foo.bar/x', 'docker.io/foo.bar/x', 'docker.io/foo.bar/x'],
    ['docker.io/localhost/x', 'docker.io/localhost/x', 'docker.io/localhost/x'],
  ])('reads %s', (input, canonical, familiar) => {
    const reference = parseReference(input);
    expect(canonicalReference(reference)).toBe(canonical);
    expect(familiarReference(reference)).toBe(familiar ?? canonical);
    expect(parseReference(canonical)).toEqual(reference);
    expect(parseReference(familiarReference(reference))).toEqual(reference);
  });

  it.each([
    ['nothing', ''],
    ['a tag alone', ':justtag'],
    ['a digest alone', `@${SHA256}`],
    ['an id', HEX64],
    ['a scheme', 'https://github.com/docker/docker'],
    ['upper case in the repository', 'docker/Docker'],
    ['upper case in one name', 'Uppercase:tag'],
    ['upper case behind a host', 'test:5000/Uppercase/lowercase:tag'],
    ['a leading hyphen', '-docker'],
    ['a leading hyphen in the namespace', '-docker/docker'],
    ['a trailing hyphen in the namespace', 'docker-/docker'],
    ['a leading hyphen in the host', '-docker.io/docker/docker'],
    ['empty components', 'docker///docker'],
    ['no repository', 'docker/'],
    ['underscores first', '____/____'],
    ['two dots', 'a/dock..er'],
    ['a dot after an underscore', 'a/dock_.er'],
    ['three underscores', 'a/dock___er'],
    ['an address alone', '[fc00::1]'],
    ['an address and port alone', '[fc00::1]:5000'],
    ['an address without brackets', 'fc00::1:5000/debian'],
    ['a zone', '[fe80::1%eth0]:5000/debian'],
    ['an IPv4 address in an IPv6 one', '[2001:db8:3:4::192.0.2.33]:5000/debian'],
    ['an IPv6 address that is none', '[fd00123123123]:5000/debian'],
    ['two colons before the port', '[fd00:1:2::3]::5050/a'],
    ['an underscore in a host', 'bad_hostname.com:8080/myapp:tag'],
    ['a port that is none', 'localhost:http/name'],
    ['a port beyond the last', '192.168.1.1:75050/a'],
    ['port 0', 'registry.example:0/a'],
    ['a digest that is too short', 'repo@sha256:ffffffffffffffffffffffffffffffffff'],
    ['another algorithm', `validname@invaliddigest:${'f'.repeat(64)}`],
    ['an algorithm that every object has', `validname@constructor:${'f'.repeat(64)}`],
    ['a digest in upper case', `a@${SHA256.toUpperCase()}`],
    ['a digest without algorithm', 'registry.com:8080/myapp@bad'],
    ['two digests', `a@${SHA256}@${SHA256}`],
    ['two tags', 'a:b:c'],
    ['a tag with a tilde', 'registry.com:8080/myapp:invalid~tag'],
    ['an empty tag', 'a:'],
    ['an empty digest', 'a@'],
    ['other characters', 'aa/asdf$$^/aa'],
    ['white space', 'a /b'],
    ['a path upwards', '../etc/passwd'],
    ['a path of 256 characters', `r.example/${'a/'.repeat(127)}aa:tag`],
    ['a tag that is too long', `a:${'t'.repeat(129)}`],
    ['a text that is too long', 'a'.repeat(1025)],
    ['a host that ends in a dot', 'docker.io./library/nginx'],
    ['an address that a URL parser would read so', '127.1/a'],
    ['a hexadecimal address', '0x7f.0.0.1/a'],
    ['an octal address', '0300.0250.1.1/a'],
    ['an address out of range', '256.1.1.1/a'],
    ['a host label of 64 characters', `${'a'.repeat(64)}.com/b`],
    ['a host of 254 characters', `${'a.'.repeat(126)}aa/b`],
    ['a Cyrillic letter in the repository', 'nginх'],
    ['a Cyrillic letter in a Latin host', 'dоcker.io/library/nginx'],
    ['the same in punycode', 'xn--dcker-jye.io/library/nginx'],
    ['full-width letters', 'ｄｏｃｋｅｒ.io/nginx'],
    ['another full stop', 'docker。io/nginx'],
    ['a letter that nobody sees', 'doc\u200bker.io/nginx'],
    ['text that runs backwards', 'doc\u202eker.io/nginx'],
    ['upper case in another alphabet', 'BÜCHER.example/a'],
    ['punycode that decodes to nothing', 'xn--.com/a'],
    ['punycode of ASCII letters', 'xn--docker-.io/a'],
    ['punycode that is none', 'xn--99999999.com/a'],
  ])('refuses %s', (_name, input) => {
    expect(() => parseReference(input)).toThrow(OciError);
  });

  it('takes a repository of exactly 255 characters behind a host', () => {
    const path = `${'a/'.repeat(127)}a`;
    expect(parseReference(`r.example/${path}:tag-beyond`).path).toBe(path);
  });

  it('throws only OciError, and gives back whatever it took', () => {
    const alphabet = constantFrom(
      ...Array.from('aZ0.-_:/@[]é%о\u200b'),
      'docker.io/',
      'library/',
      'xn--',
      '@sha256:',
      'f'.repeat(64),
    );
    assert(
      property(string({ unit: alphabet, maxLength: 24 }), (text) => {
        const reference = parsedOrRefused(text);
        if (reference === 'refused') return true;
        const again = [canonicalReference(reference), familiarReference(reference)].map((form) => parseReference(form));
        return again.every((other) => canonicalReference(other) === canonicalReference(reference));
      }),
      { numRuns: 2000 },
    );
  });

  it('shows nothing in its message that a terminal would obey', () => {
    expect(() => parseReference('\u001b[31m/a')).toThrow(/^\P{Cc}*$/u);
  });
});

describe('what references are made of', () => {
  it('withDefaultTag() leaves a tag and a digest alone', () => {
    expect(withDefaultTag(parseReference('a')).tag).toBe('latest');
    expect(withDefaultTag(parseReference('a:b')).tag).toBe('b');
    expect(withDefaultTag(parseReference(`a@${SHA256}`)).tag).toBeUndefined();
  });

  it('canonicalName() is the repository alone', () => {
    expect(canonicalName(parseReference(`nginx:1@${SHA256}`))).toBe('docker.io/library/nginx');
  });

  it('parseDigest() reads what manifests write', () => {
    expect(parseDigest(SHA256)).toEqual({ algorithm: 'sha256', hex: SHA256.slice(7) });
    expect(() => parseDigest(`md5:${'f'.repeat(32)}`)).toThrow(/md5/);
  });

  it('unicodeHost() shows the letters of a host', () => {
    expect(unicodeHost('xn--bcher-kva.example')).toBe('bücher.example');
    expect(unicodeHost('docker.io')).toBe('docker.io');
  });
});
