import { describe, expect, it } from 'vitest';
import { parseApkInstalled } from './apk.ts';

const INSTALLED = `C:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=
P:libcrypto3
V:3.1.4-r5
A:x86_64
L:Apache-2.0
o:openssl
F:lib
R:libcrypto.so.3
a:0:0:755
Z:Q1xxx

P:py3-requests
V:2.31.0-r1
A:noarch
L:Apache-2.0
o:py3-requests
F:usr/lib/python3.11/site-packages/requests-2.31.0.dist-info
R:METADATA
R:RECORD
F:usr/lib/python3.11/site-packages/requests
R:__init__.py
`;

describe('parseApkInstalled()', () => {
  it('reads name, version, licence, origin', () => {
    const [crypto] = parseApkInstalled(INSTALLED);
    expect(crypto).toMatchObject({
      name: 'libcrypto3',
      version: '3.1.4-r5',
      architecture: 'x86_64',
      source: 'openssl',
    });
    expect(crypto?.licence).toBe('Apache-2.0');
  });

  it('names the files that are packages of a language', () => {
    const [, requests] = parseApkInstalled(INSTALLED);
    expect(requests?.owns).toEqual(['usr/lib/python3.11/site-packages/requests-2.31.0.dist-info/METADATA']);
  });

  it.each([[''], ['\n\n'], ['P:x\n\n'], ['V:1\n\n'], ['R:a\nF:\n\n'], ['PV\nP\n:\n']])('%j is no package', (text) => {
    expect([...parseApkInstalled(text)]).toEqual([]);
  });
});
