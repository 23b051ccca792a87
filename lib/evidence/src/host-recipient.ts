// "ringwall-host-recipient/1": the public key to which snapshots are exported so that one broker alone can open them, by that
// broker's own word. There is no secret in it; whoever exports compares the fingerprint of the broker with who sent it.
import { toHex } from '@ringwall/bytes';
import type { JsonValue } from './canonical-json.ts';
import { readBroker, type BrokerSignature } from './broker-signature.ts';
import { EvidenceError } from './errors.ts';
import { ClosedObject } from './json.ts';
import { decodeJsonFile, encodeJsonFile } from './json-file.ts';
import { signedText, verifySigned, type Signer } from './signer.ts';

export const HOST_RECIPIENT_FORMAT = 'ringwall-host-recipient/1';
const FILE = { what: 'recipient of a host', limitBytes: 4096, invalid: 'export-invalid' } as const;
const X25519_KEY_BYTES = 32;

export interface HostRecipient {
  /** X25519, 32 bytes (RFC 7748). */
  readonly recipient: Uint8Array;
  readonly at: Date;
  readonly broker: BrokerSignature;
}

export async function signHostRecipient(
  { recipient, at }: Omit<HostRecipient, 'broker'>,
  signer: Signer,
): Promise<HostRecipient> {
  const publicKey = new Uint8Array(signer.publicKey);
  const signature = new Uint8Array(await signer.sign(signedBytes({ recipient, at }, publicKey)));
  return { recipient, at, broker: { publicKey, signature } };
}

export function encodeHostRecipient({ recipient, at, broker }: HostRecipient): string {
  return encodeJsonFile(FILE, {
    format: HOST_RECIPIENT_FORMAT,
    ...contentJson({ recipient, at }),
    broker: { publicKey: toHex(broker.publicKey), signature: toHex(broker.signature) },
  });
}

/** Nothing about its truth. Throws EvidenceError. */
export function parseHostRecipient(input: string | Uint8Array): HostRecipient {
  const object = new ClosedObject(decodeJsonFile(FILE, input), 'recipient', refuse);
  object.oneOf('format', [HOST_RECIPIENT_FORMAT]);
  const parsed = {
    recipient: object.hexBytes('recipient', X25519_KEY_BYTES),
    at: object.time('at'),
    broker: readBroker(object.object('broker')),
  };
  object.end();
  return parsed;
}

/** Whether the broker that it names has said so. Whose broker that is, a person compares. */
export async function verifyHostRecipient({ recipient, at, broker }: HostRecipient): Promise<boolean> {
  const { publicKey, signature } = broker;
  return await verifySigned(publicKey, signature, signedBytes({ recipient, at }, publicKey));
}

function signedBytes(content: Omit<HostRecipient, 'broker'>, publicKey: Uint8Array): Uint8Array {
  return signedText(HOST_RECIPIENT_FORMAT, { ...contentJson(content), broker: { publicKey: toHex(publicKey) } });
}

function contentJson({ recipient, at }: Omit<HostRecipient, 'broker'>): Record<string, JsonValue> {
  return { recipient: toHex(recipient), at: at.toISOString() };
}

function refuse(message: string): never {
  throw new EvidenceError('export-invalid', message);
}
