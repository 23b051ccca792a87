import { describe, expect, it } from 'vitest';
import {
  encodeExport,
  exportContext,
  parseExport,
  signExport,
  verifyExport,
  type ExportTicket,
  type SignedExport,
} from './export-ticket.ts';
import type { SealedDisk } from './exported-disks.ts';
import { encodeHostRecipient, parseHostRecipient, signHostRecipient, verifyHostRecipient } from './host-recipient.ts';
import type { Signer } from './signer.ts';

const AT = new Date('2026-11-21T12:00:00.000Z');

const TICKET: ExportTicket = {
  id: 'ab'.repeat(16),
  mode: 'move',
  recipient: new Uint8Array(32).fill(1),
  machine: {
    ...{ id: 'mch_aaaabbbbccccddddeeee', name: 'web', image: 'hello', watch: 'enforce' },
    ...{ cpus: 1, memoryMiB: 512, diskMiB: 1024 },
  },
  tpm: {
    ekCertificate: new Uint8Array(700).fill(3),
    vtpmCa: [new Uint8Array(500).fill(4)],
    akName: new Uint8Array(34).fill(5),
    unlockedAt: { boot: 'cd'.repeat(16), resetCount: 7, restartCount: 0, clock: 1234 },
    seenAt: { boot: 'cd'.repeat(16), resetCount: 8, restartCount: 0 },
  },
  disk: { kind: 'encrypted', keyVersion: 2 },
  snapshot: { id: 'snp_aaaabbbbccccddddeeee', sequence: 3, root: 'ef'.repeat(32), bytes: 4096, takenAt: AT },
  diskKey: { enc: new Uint8Array(32).fill(6), ciphertext: new Uint8Array(48).fill(7) },
  at: AT,
};

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

describe('the ticket of an export', () => {
  it('names imported disks with their keys, each once, and every word of them is signed', async () => {
    const disk: SealedDisk = {
      ...{ id: 'dsk_aaaabbbbccccddddeeee', name: 'data', sizeBytes: 8192, digest: '12'.repeat(32) },
      source: { format: 'qcow2', name: 'data.qcow2' },
      key: { enc: new Uint8Array(32).fill(8), ciphertext: new Uint8Array(80).fill(9) },
    };
    const other: SealedDisk = { ...disk, id: 'dsk_aaaabbbbccccddddeeef' };
    const ticket: ExportTicket = { ...TICKET, disks: [disk, other] };
    const signed = await signExport(ticket, await makeSigner());
    expect(parseExport(encodeExport(signed))).toEqual(signed);
    expect(signed).toMatchObject(ticket);
    const changes: readonly SealedDisk[] = [
      { ...disk, name: 'other' },
      { ...disk, sizeBytes: 4096 },
      { ...disk, digest: '13'.repeat(32) },
      { ...disk, source: { ...disk.source, format: 'raw' } },
      { ...disk, key: { ...disk.key, ciphertext: new Uint8Array(80) } },
    ];
    for (const changed of changes) expect(await verifyExport({ ...signed, disks: [changed, other] })).toBe(false);
    expect(await verifyExport({ ...signed, disks: [other, disk] })).toBe(false);
    expect(await verifyExport({ ...signed, disks: [] })).toBe(false);
    // What the keys are sealed under is the same before and after, and another for other disks.
    const { key: _, ...said } = disk;
    expect(exportContext({ ...TICKET, disks: [said, other] })).toEqual(exportContext(signed));
    expect(exportContext({ ...TICKET, disks: [said] })).not.toEqual(exportContext(signed));
    for (const bad of [
      [disk, disk],
      [{ ...disk, id: 'dsk_1' }],
      [{ ...disk, sizeBytes: 100 }],
      [{ ...disk, key: { ...disk.key, ciphertext: new Uint8Array(48) } }],
      Array.from({ length: 9 }, (__, index) => ({ ...disk, id: `dsk_aaaabbbbccccddddeee${'abcdefghi'[index] ?? ''}` })),
    ]) {
      expect(() => parseExport(encodeExport({ ...signed, disks: bad }))).toThrow(/export/);
    }
  });

  it('says the same after it was written and read, and every word of it is signed', async () => {
    const signed = await signExport(TICKET, await makeSigner());
    expect(parseExport(encodeExport(signed))).toEqual(signed);
    expect(signed).toMatchObject(TICKET);
    expect(await verifyExport(signed)).toBe(true);
    const changes: readonly Partial<SignedExport>[] = [
      { mode: 'backup' },
      { id: '00'.repeat(16) },
      { recipient: new Uint8Array(32) },
      { machine: { ...TICKET.machine, name: 'other' } },
      { tpm: { ...TICKET.tpm, seenAt: undefined } },
      { disk: { kind: 'authenticated', keyVersion: 2 } },
      { snapshot: { ...TICKET.snapshot, sequence: 4 } },
      { diskKey: { ...TICKET.diskKey, enc: new Uint8Array(32) } },
      { at: new Date(0) },
      { broker: { ...signed.broker, publicKey: (await makeSigner()).publicKey } },
    ];
    for (const change of changes)
      expect(await verifyExport({ ...signed, ...change }), JSON.stringify(change)).toBe(false);
  });

  it('names what the exported one continues, each once and in its order', async () => {
    const signer = await makeSigner();
    const { unlockedAt, seenAt } = TICKET.tpm;
    const one = {
      ...TICKET.snapshot,
      id: `snp_${'b'.repeat(20)}`,
      sequence: 1,
      root: '11'.repeat(32),
      unlockedAt,
      seenAt,
    };
    const two = { ...one, id: `snp_${'c'.repeat(20)}`, sequence: 2, root: '22'.repeat(32), seenAt: undefined };
    const signed = await signExport({ ...TICKET, bases: [one, two] }, signer);
    expect(parseExport(encodeExport(signed)).bases).toEqual([one, two]);
    for (const bases of [[], [one], [{ ...one, root: two.root }, two], [one, { ...two, unlockedAt: undefined }]]) {
      expect(await verifyExport({ ...signed, bases })).toBe(false);
    }
    const many = Array.from({ length: 16 }, (_, index) => ({ ...one, sequence: index + 1 }));
    for (const bases of [
      [two, one],
      [one, one],
      [one, { ...two, id: one.id }],
      [one, { ...two, root: one.root }],
      [one, { ...two, sequence: TICKET.snapshot.sequence }],
      [{ ...one, id: TICKET.snapshot.id }, two],
      many,
    ]) {
      await expect(signExport({ ...TICKET, bases }, signer)).rejects.toMatchObject({ code: 'export-invalid' });
    }
  });

  it('binds the disk’s key to everything else that it says', () => {
    const { diskKey: _, ...says } = TICKET;
    expect(exportContext(says)).toEqual(exportContext(TICKET));
    expect(exportContext({ ...says, mode: 'backup' })).not.toEqual(exportContext(says));
  });

  it('is refused where a field is missing, unknown, or of another form', async () => {
    const text = encodeExport(await signExport(TICKET, await makeSigner()));
    const json: Record<string, unknown> = JSON.parse(text);
    for (const key of Object.keys(json)) {
      const { [key]: _, ...rest } = json;
      expect(() => parseExport(JSON.stringify(rest)), key).toThrow(/missing/);
    }
    expect(() => parseExport(JSON.stringify({ ...json, more: 1 }))).toThrow(/unknown key/);
    for (let length = 0; length < text.length - 1; length += 37) {
      expect(() => parseExport(text.slice(0, length))).toThrow(/not JSON/);
    }
    expect(() => parseExport(text.replace('mch_aaaabbbbccccddddeeee', '../../etc'))).toThrow(/machine id/);
    // The next one that is taken has the number behind it.
    expect(() => parseExport(text.replace(/"sequence":\s*3/, '"sequence":100000001'))).toThrow(/sequence/);
    expect(() => parseExport(' '.repeat(200_000))).toThrow(/at most/);
  });
});

describe('the recipient of a host', () => {
  it('is signed by its broker, and no word of it can be exchanged', async () => {
    const said = await signHostRecipient({ recipient: new Uint8Array(32).fill(9), at: AT }, await makeSigner());
    const read = parseHostRecipient(encodeHostRecipient(said));
    expect(read).toEqual(said);
    expect(await verifyHostRecipient(read)).toBe(true);
    expect(await verifyHostRecipient({ ...read, recipient: new Uint8Array(32) })).toBe(false);
    expect(await verifyHostRecipient({ ...read, at: new Date(0) })).toBe(false);
    expect(() => parseHostRecipient('{}')).toThrow(/format is missing/);
  });
});
