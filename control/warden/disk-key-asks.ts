// What this host has asked the broker's keys for: each ask has a key pair of its own, whose private half stays here, opens one
// answer, and is forgotten after it or soon.
import { RingwallError } from '@ringwall/api';
import type { DiskKeyRequest } from '@ringwall/api/disks';
import type { SealedKey } from '@ringwall/api/warden';
import type { Signer } from '@ringwall/evidence';
import { diskKeyMessage, newRecipient, type Recipient, type Secret } from '../keys/index.ts';

/** An answer comes within a second; a broker that is being restarted takes some. */
const ASK_LIFE_MS = 120_000;
/** Far more than machines start at once. */
const MAX_ASKS = 256;

export class DiskKeyAsks {
  readonly #asked: Map<string, { request: DiskKeyRequest; recipient: Recipient; atMs: number }> = new Map();

  async ask(
    signer: Signer,
    wanted: Pick<DiskKeyRequest, 'disk' | 'use' | 'machine' | 'boot'>,
  ): Promise<DiskKeyRequest> {
    const recipient = newRecipient();
    const publicKey = base64(recipient.publicKey);
    const unsigned = { ...wanted, publicKey, host: base64(signer.publicKey) };
    const request = { ...unsigned, signature: base64(await signer.sign(diskKeyMessage(unsigned))) };
    this.#forgetOld();
    this.#asked.set(publicKey, { request, recipient, atMs: performance.now() });
    return request;
  }

  /** Opens the answer to an ask for this very use; throws for any other. */
  open({ publicKey, sealed }: SealedKey, wanted: Pick<DiskKeyRequest, 'disk' | 'use' | 'machine' | 'boot'>): Secret {
    this.#forgetOld();
    const asked = this.#asked.get(publicKey);
    this.#asked.delete(publicKey);
    const isThis =
      asked !== undefined &&
      (['disk', 'use', 'machine', 'boot'] as const).every((field) => asked.request[field] === wanted[field]);
    if (!isThis) {
      throw new RingwallError('conflict', 'this key was not asked for, or too long ago', { hint: 'ask for it again' });
    }
    return asked.recipient.open(Buffer.from(sealed, 'base64'), asked.request);
  }

  #forgetOld(): void {
    const now = performance.now();
    for (const [key, { atMs }] of this.#asked) {
      if (now - atMs > ASK_LIFE_MS || this.#asked.size >= MAX_ASKS) this.#asked.delete(key);
    }
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
