import { fromHex, toHex, utf8 } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { makeKeyPair, openWith, publicKeyOf, sealTo, type HpkeAead } from './hpke.ts';

/** RFC 9180, appendix A.1.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode, sequence number 0. */
const VECTOR = {
  info: fromHex('4f6465206f6e2061204772656369616e2055726e'),
  ephemeral: {
    publicKey: fromHex('37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431'),
    privateKey: fromHex('52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736'),
  },
  recipient: {
    publicKey: fromHex('3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d'),
    privateKey: fromHex('4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8'),
  },
  plaintext: fromHex('4265617574792069732074727574682c20747275746820626561757479'),
  aad: fromHex('436f756e742d30'),
  ciphertext: 'f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a',
};
const AES_128_GCM: HpkeAead = { id: 0x0001, keyBytes: 16 };
const AAD = utf8('');

describe('HPKE', () => {
  test('gives the bytes of RFC 9180, appendix A.1.1', async () => {
    const { info, aad, ephemeral, recipient, plaintext, ciphertext } = VECTOR;
    const context = { info, aad, aead: AES_128_GCM };
    const sealed = await sealTo(recipient.publicKey, plaintext, context, ephemeral);
    expect(toHex(sealed.ciphertext)).toBe(ciphertext);
    expect(toHex(sealed.enc)).toBe(toHex(ephemeral.publicKey));
    expect(await openWith(recipient, sealed, context)).toEqual(plaintext);
  });

  test('finds the public half of a private key', async () => {
    const { publicKey, privateKey } = VECTOR.recipient;
    expect(toHex(await publicKeyOf(privateKey))).toBe(toHex(publicKey));
    const made = await makeKeyPair();
    expect(toHex(await publicKeyOf(made.privateKey))).toBe(toHex(made.publicKey));
  });

  test('opens nothing for another key, another context, or with another bit', async () => {
    const [own, other] = [await makeKeyPair(), await makeKeyPair()];
    const context = { info: utf8('this'), aad: AAD };
    const sealed = await sealTo(own.publicKey, utf8('secret'), context);
    expect(await openWith(own, sealed, context)).toEqual(utf8('secret'));
    expect(await openWith(other, sealed, context)).toBeUndefined();
    expect(await openWith(own, sealed, { ...context, info: utf8('that') })).toBeUndefined();
    const flipped = sealed.ciphertext.map((byte, at) => (at === 3 ? byte ^ 1 : byte));
    expect(await openWith(own, { ...sealed, ciphertext: flipped }, context)).toBeUndefined();
  });

  test('refuses a point of small order', async () => {
    const own = await makeKeyPair();
    const sealed = { enc: new Uint8Array(32), ciphertext: new Uint8Array(48) };
    expect(await openWith(own, sealed, { info: AAD, aad: AAD })).toBeUndefined();
  });
});
