import { describe, expect, it } from 'vitest';
import { diskKeyId, encodeErasure, parseErasure, signErasure, verifyErasure, type Erasure } from './erasure.ts';
import type { Signer } from './signer.ts';

const AT = new Date('2026-11-21T12:00:00.000Z');

async function makeSigner(): Promise<Signer> {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  const point = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
  return {
    publicKey: point.slice(1),
    sign: async (message) =>
      new Uint8Array(
        await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, pair.privateKey, new Uint8Array(message)),
      ),
  };
}

async function anErasure(): Promise<Erasure> {
  const id = await diskKeyId(new Uint8Array(32).fill(7));
  return {
    subject: { kind: 'machine', id: 'mch_aaaabbbbccccddddeeee', name: 'web' },
    keys: [
      { version: 1, id, how: 'rotated', at: AT },
      { version: 2, id: 'cd'.repeat(32), how: 'erased', at: AT },
    ],
    searched: { bytes: 4096, copies: 0 },
    lastProof: 'ab'.repeat(32),
    at: AT,
  };
}

describe('the record of an erasure', () => {
  it('is proven by the broker that is trusted, and by its own word alone without', async () => {
    const signer = await makeSigner();
    const signed = parseErasure(encodeErasure(await signErasure(await anErasure(), signer)));
    expect(await verifyErasure(signed, { brokerKey: signer.publicKey })).toMatchObject({
      outcome: 'proven',
      reasons: [],
    });
    const withSnapshots = {
      ...(await anErasure()),
      snapshots: [{ sequence: 2, root: 'ef'.repeat(32) }, { sequence: 1 }],
    };
    const told = await verifyErasure(parseErasure(encodeErasure(await signErasure(withSnapshots, signer))));
    expect(told.says.join('\n')).toContain('the key of snapshot 2 went with them (root efefefefefefefef…)');
    expect(told.cannotSay.join('\n')).toContain('exported before');
    const report = await verifyErasure(signed);
    expect(report.outcome).toBe('unanchored');
    expect(report.says[0]).toContain('machine web (mch_aaaabbbbccccddddeeee) were destroyed at 2026-11-21T12:00:00Z');
    expect(report.cannotSay.join('\n')).toContain('backups');
    const other = await makeSigner();
    expect((await verifyErasure(signed, { brokerKey: other.publicKey })).outcome).toBe('refused');
  });

  it('is of a disk, too, and says which disks of a machine remain', async () => {
    const signer = await makeSigner();
    const { lastProof: _none, ...machine } = await anErasure();
    const subject = { kind: 'disk', id: 'dsk_aaaabbbbccccddddeeee', name: 'data' } as const;
    const read = async (erasure: Erasure): Promise<readonly string[]> => {
      const signed = parseErasure(encodeErasure(await signErasure(erasure, signer)));
      expect(signed).toMatchObject(erasure);
      return (await verifyErasure(signed)).says;
    };
    const ofDisk = await read({ ...machine, subject });
    expect(ofDisk[0]).toContain('the keys of disk data (dsk_aaaabbbbccccddddeeee) were destroyed');
    expect(ofDisk.join()).not.toMatch(/unlocked|proof/);
    const { id, name } = subject;
    expect((await read({ ...machine, keeps: [{ id, name }] })).join('\n')).toContain(
      'had disk data (dsk_aaaabbbbccccddddeeee), which was not destroyed',
    );
  });

  it.each<[string, (erasure: Erasure) => Erasure]>([
    ['another machine', (erasure) => ({ ...erasure, subject: { ...erasure.subject, name: 'db' } })],
    ['a disk in the place of a machine', (erasure) => ({ ...erasure, subject: { ...erasure.subject, kind: 'disk' } })],
    ['a disk that is said to remain', (erasure) => ({ ...erasure, keeps: [{ id: 'dsk_a', name: 'web' }] })],
    ['another time', (erasure) => ({ ...erasure, at: new Date(0) })],
    ['one key less', (erasure) => ({ ...erasure, keys: erasure.keys.slice(1) })],
    ['no word of the search', ({ searched: _gone, ...erasure }) => erasure],
  ])('is invalid with %s', async (_what, change) => {
    const signed = await signErasure(await anErasure(), await makeSigner());
    expect((await verifyErasure({ ...change(signed), broker: signed.broker })).outcome).toBe('invalid');
  });

  it('counts for nothing where the broker found a copy', async () => {
    const signer = await makeSigner();
    const found = await signErasure({ ...(await anErasure()), searched: { bytes: 4096, copies: 1 } }, signer);
    expect((await verifyErasure(found, { brokerKey: signer.publicKey })).outcome).toBe('refused');
  });

  it('is read with every field or refused', async () => {
    const text = encodeErasure(await signErasure(await anErasure(), await makeSigner()));
    const value: Record<string, unknown> = { ...JSON.parse(text) };
    for (const key of ['format', 'machine', 'keys', 'at', 'broker']) {
      const { [key]: _gone, ...rest } = value;
      expect(() => parseErasure(JSON.stringify(rest)), key).toThrow(/erasure/);
    }
    expect(() => parseErasure(JSON.stringify({ ...value, more: 1 }))).toThrow(/more/);
    for (let length = 0; length < text.length - 2; length += 7) {
      expect(() => parseErasure(text.slice(0, length))).toThrow('not JSON');
    }
  });
});
