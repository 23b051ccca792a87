// What this host has asked the broker's keys for: each ask has a key pair of its own, whose private half stays here, opens one
// answer, and is forgotten after it or soon.
import { RingwallError } from '@ringwall/api';
import type { DiskKeyRequest } from '@ringwall/api/disks';
import type { SnapshotKeyRequest } from '@ringwall/api/snapshots';
import type { SealedKey } from '@ringwall/api/warden';
import type { Signer } from '@ringwall/evidence';
import {
  keyRequestMessage,
  newRecipient,
  type Recipient,
  type Secret,
  type UnsignedKeyRequest,
} from '../keys/index.ts';

/** An answer comes within a second; a broker that is being restarted takes some. */
const ASK_LIFE_MS = 120_000;
/** Far more than machines start at once. */
const MAX_ASKS = 256;

type Asking<Request> = Omit<Request, 'publicKey' | 'host' | 'signature'>;
/** What is wanted of which key. */
type Wanted = Asking<DiskKeyRequest> | Asking<SnapshotKeyRequest>;

export class KeyAsks {
  readonly #asked: Map<string, { request: UnsignedKeyRequest; recipient: Recipient; atMs: number }> = new Map();

  async ask<Request extends Wanted>(
    signer: Signer,
    wanted: Request,
  ): Promise<Request & { readonly publicKey: string; readonly host: string; readonly signature: string }> {
    const recipient = newRecipient();
    const publicKey = base64(recipient.publicKey);
    const request = { ...wanted, publicKey, host: base64(signer.publicKey) };
    const signature = base64(await signer.sign(keyRequestMessage(request)));
    this.#forgetOld();
    this.#asked.set(publicKey, { request, recipient, atMs: performance.now() });
    return { ...request, signature };
  }

  /** Opens the answer to an ask for this very use; throws for any other. */
  open({ publicKey, sealed }: SealedKey, wanted: Wanted): Secret {
    this.#forgetOld();
    const asked = this.#asked.get(publicKey);
    this.#asked.delete(publicKey);
    if (asked === undefined || !isFor(asked.request, { ...wanted, publicKey, host: asked.request.host })) {
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

function isFor(asked: UnsignedKeyRequest, wanted: UnsignedKeyRequest): boolean {
  return Buffer.compare(keyRequestMessage(asked), keyRequestMessage(wanted)) === 0;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
