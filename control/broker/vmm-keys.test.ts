// Who gets the key of a disk that the VMM encrypts.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { newBootId, newDiskId, newMachineId, type DiskId } from '@ringwall/api';
import type { DiskKeyRequest } from '@ringwall/api/disks';
import { fromHex } from '@ringwall/bytes';
import { diskKeyId, parseErasure, verifyErasure } from '@ringwall/evidence';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyRequestMessage, newRecipient, type Recipient, type SigningKey } from '../keys/index.ts';
import { BrokerInstance, codeOf } from './testing/instance.ts';

let broker: BrokerInstance;
beforeEach(async () => {
  broker = await BrokerInstance.start();
});
afterEach(() => broker[Symbol.asyncDispose]());

interface Asked {
  readonly request: DiskKeyRequest;
  readonly recipient: Recipient;
}

async function ask(disk: DiskId, changes: Partial<DiskKeyRequest> = {}, key?: SigningKey): Promise<Asked> {
  const signer = key ?? (await broker.hostKey);
  const recipient = newRecipient();
  const unsigned = {
    disk,
    use: 'import' as const,
    publicKey: base64(recipient.publicKey),
    host: base64(signer.publicKey),
    ...changes,
  };
  const signature = base64(await signer.sign(keyRequestMessage(unsigned)));
  return { request: { ...unsigned, signature }, recipient };
}

async function release({ request, recipient }: Asked): Promise<string> {
  const { sealed } = await broker.client.call({ op: 'release-disk-key', request });
  using key = recipient.open(Buffer.from(sealed, 'base64'), request);
  return Buffer.from(key.expose()).toString('latin1');
}

describe('release-disk-key', () => {
  test('makes the key once, and gives the same one to the same host again', async () => {
    const disk = newDiskId();
    const key = await release(await ask(disk));
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    expect(await release(await ask(disk))).toBe(key);
    expect(await release(await ask(newDiskId()))).not.toBe(key);
    expect(readFileSync(join(broker.stateDirectory, 'audit.log'), 'utf8')).toContain(`"disk":"${disk}"`);
    expect(readFileSync(join(broker.stateDirectory, 'broker.db')).includes(key)).toBe(false);
  });

  test('gives it to no other host, and to nobody who only says that they are this one', async () => {
    const disk = newDiskId();
    await release(await ask(disk));
    const other = await strangerKey();
    expect(await codeOf(release(await ask(disk, {}, other)))).toBe('unauthorized');
    const host = base64((await broker.hostKey).publicKey);
    expect(await codeOf(release(await ask(disk, { host }, other)))).toBe('unauthorized');
    const replayed = await ask(disk);
    const mine = newRecipient();
    const request = { ...replayed.request, publicKey: base64(mine.publicKey) };
    expect(await codeOf(release({ request, recipient: mine }))).toBe('unauthorized');
  });

  test('gives it for a start of a machine that the broker knows, and never makes one for it', async () => {
    const disk = newDiskId();
    const { id: machine } = await broker.addMachine();
    const start = { use: 'start', machine, boot: newBootId() } as const;
    expect(await codeOf(release(await ask(disk, start)))).toBe('not-found');
    const key = await release(await ask(disk));
    expect(await release(await ask(disk, start))).toBe(key);
    expect(await codeOf(release(await ask(disk, { use: 'start' })))).toBe('bad-request');
    expect(await codeOf(release(await ask(disk, { ...start, machine: newMachineId() })))).toBe('not-found');
  });

  test('answers nothing that another request opens, and nothing to a key that is none', async () => {
    const one = await ask(newDiskId());
    const { sealed } = await broker.client.call({ op: 'release-disk-key', request: one.request });
    const bytes = Buffer.from(sealed, 'base64');
    const two = await ask(one.request.disk);
    expect(() => two.recipient.open(bytes, two.request)).toThrow('not sealed for this request');
    expect(() => one.recipient.open(bytes, { ...one.request, use: 'start' })).toThrow('not sealed');
    for (const at of bytes.keys()) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      expect(() => one.recipient.open(flipped, one.request)).toThrow('not sealed');
      expect(() => one.recipient.open(bytes.subarray(0, at), one.request)).toThrow('not sealed');
    }
    const zero = await ask(newDiskId(), { publicKey: base64(new Uint8Array(32)) });
    expect(await codeOf(release(zero))).toBe('bad-request');
  });

  test('has destroyed it once the disk is forgotten', async () => {
    const disk = newDiskId();
    const key = await release(await ask(disk));
    await broker.client.call({ op: 'forget-disk', disk, name: 'web' });
    await broker.client.call({ op: 'forget-disk', disk, name: 'web' });
    const { erasure } = await broker.client.call({ op: 'read-erasure', kind: 'disk', subject: 'web' });
    const record = parseErasure(JSON.stringify(erasure));
    expect(record).toMatchObject({
      subject: { kind: 'disk', id: disk, name: 'web' },
      keys: [{ version: 1, id: await diskKeyId(Buffer.from(key, 'latin1')), how: 'erased' }],
      searched: { copies: 0 },
    });
    const brokerKey = fromHex(await broker.brokerKey());
    expect(await verifyErasure(record, { brokerKey })).toMatchObject({ outcome: 'proven' });
    expect(await release(await ask(disk))).not.toBe(key);
  });
});

async function strangerKey(): Promise<SigningKey> {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign']);
  const { x = '', y = '' } = await crypto.subtle.exportKey('jwk', pair.privateKey);
  return {
    publicKey: Buffer.concat([Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]),
    sign: async (message) =>
      new Uint8Array(
        await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, pair.privateKey, new Uint8Array(message)),
      ),
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
