// Reference values and a key that signs them, for tests.
import { signReference, type ReferenceContent, type SignedReference, type Signer } from '@ringwall/evidence';

const DAY_MS = 24 * 3600 * 1000;
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256' } as const;

export const EMPTY_CONTENT: ReferenceContent = {
  for: {
    firmware: { name: 'OVMF', digest: '22'.repeat(32) },
    kernel: { name: 'vmlinuz', digest: '33'.repeat(32) },
    image: { name: 'hello', digest: '11'.repeat(32) },
  },
  events: [{ pcr: 4, type: 'EV_SEPARATOR', digest: '44'.repeat(32), what: 'separator' }],
  packages: [],
};

export async function makeReferenceKey(): Promise<Signer> {
  const { publicKey, privateKey } = await crypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
  const point = new Uint8Array(await crypto.subtle.exportKey('raw', publicKey));
  return {
    publicKey: point.slice(1),
    sign: async (message) =>
      new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, privateKey, new Uint8Array(message))),
  };
}

export function signNow(content: ReferenceContent, signer: Signer, now: Date = new Date()): Promise<SignedReference> {
  const [notBefore, notAfter] = [new Date(now.getTime() - DAY_MS), new Date(now.getTime() + DAY_MS)];
  return signReference({ ...content, by: 'a test host', notBefore, notAfter }, signer);
}
