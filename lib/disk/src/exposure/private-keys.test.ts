import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { FileContent } from './file-content.ts';
import { recogniseKeyStore, recognisePem, recognisePutty } from './private-keys.ts';

function content(text: string | Uint8Array): FileContent {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  return new FileContent(bytes.length, bytes);
}

function pem(type: 'pkcs8' | 'sec1', passphrase?: string): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const lock = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase };
  return privateKey.export({ type, format: 'pem', ...lock });
}

/** As PROTOCOL.key of OpenSSH says: the magic, then the cipher's name with its length. */
function openSsh(cipher: string): string {
  const bytes = Buffer.concat([
    Buffer.from('openssh-key-v1\0\0\0\0'),
    Buffer.from([cipher.length]),
    Buffer.from(cipher),
    Buffer.alloc(80),
  ]);
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${bytes.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

describe('recognisePem()', () => {
  test.each([
    ['PKCS #8', () => pem('pkcs8'), '1 PKCS #8 private key, without a passphrase', undefined],
    ['PKCS #8, locked', () => pem('pkcs8', 'x'), '1 PKCS #8 private key, with a passphrase', 20],
    ['SEC 1', () => pem('sec1'), '1 EC private key, without a passphrase', undefined],
    ['SEC 1, locked the old way', () => pem('sec1', 'x'), '1 EC private key, with a passphrase', 20],
    ['OpenSSH', () => openSsh('none'), '1 OPENSSH private key, without a passphrase', undefined],
    ['OpenSSH, locked', () => openSsh('aes256-ctr'), '1 OPENSSH private key, with a passphrase', 20],
    [
      'two, one locked',
      () => openSsh('aes256-ctr') + pem('sec1'),
      '2 OPENSSH, EC private keys, 1 without a passphrase',
      undefined,
    ],
  ])('reads %s', (_, make, detail, worth) => {
    expect(recognisePem(content(make()))).toEqual({ detail, ...(worth === undefined ? {} : { worth }) });
  });

  test('is not moved by certificates and public keys', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    expect(recognisePem(content(publicKey.export({ type: 'spki', format: 'pem' })))).toBeUndefined();
    expect(recognisePem(content('-----BEGIN CERTIFICATE-----\nMII\n'))).toBeUndefined();
  });

  test('takes an OpenSSH key that is cut off for one without a passphrase', () => {
    expect(recognisePem(content('-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl'))?.detail).toContain('without');
  });
});

test('recognisePutty() reads the cipher', () => {
  expect(recognisePutty(content('PuTTY-User-Key-File-3: ssh-ed25519\r\nEncryption: none\r\n'))?.detail).toBe(
    'ssh-ed25519, without a passphrase',
  );
  expect(recognisePutty(content('PuTTY-User-Key-File-2: ssh-rsa\nEncryption: aes256-cbc\n'))?.worth).toBe(20);
  expect(recognisePutty(content('a text about PuTTY-User-Key-File-2: ssh-rsa'))).toBeUndefined();
});

test('recogniseKeyStore() knows stores by their first bytes', () => {
  expect(recogniseKeyStore(content(Uint8Array.of(0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2)))?.detail).toContain('Java');
  expect(recogniseKeyStore(content(Uint8Array.of(0x30, 0x82, 9, 9, 2, 1, 3)))?.detail).toContain('PKCS #12');
  expect(recogniseKeyStore(content(Uint8Array.of(0x30, 0x82, 9, 9, 2, 1, 1)))).toBeUndefined();
});
