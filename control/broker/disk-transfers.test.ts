// Keys of imported disks that leave with their machine and come with it.
import { newBootId, newDiskId, type DiskId, type SnapshotId } from '@ringwall/api';
import type { DiskKeyRequest } from '@ringwall/api/disks';
import { parseExport, type Signer } from '@ringwall/evidence';
import { describe, expect, test } from 'vitest';
import { keyRequestMessage, newRecipient, type Recipient } from '../keys/index.ts';
import { makeReferenceKey } from './testing/reference.ts';
import { codeOf, type BrokerInstance } from './testing/instance.ts';
import {
  DONE,
  home,
  away,
  machine,
  take,
  recipientOf,
  exportIt,
  begin,
  finish,
  bring,
  restore,
  signedAnew,
  base64,
  useTwoBrokers,
} from './testing/transfers.ts';

useTwoBrokers();

describe('a machine with imported disks', () => {
  /** By the host of this broker, or by whoever is named. */
  async function askDisk(
    broker: BrokerInstance,
    disk: DiskId,
    { host, ...changes }: Partial<Omit<DiskKeyRequest, 'host'>> & { readonly host?: Signer } = {},
  ): Promise<{ request: DiskKeyRequest; recipient: Recipient }> {
    const signer = host ?? (await broker.hostKey);
    const recipient = newRecipient();
    const unsigned = {
      ...{ disk, use: 'start' as const, machine: machine.id, boot: newBootId() },
      ...{ publicKey: base64(recipient.publicKey), host: base64(signer.publicKey), ...changes },
    };
    return { request: { ...unsigned, signature: base64(await signer.sign(keyRequestMessage(unsigned))) }, recipient };
  }
  async function keyOf(
    broker: BrokerInstance,
    disk: DiskId,
    asked: Parameters<typeof askDisk>[2] = {},
    put: { readonly rewind?: boolean; readonly snapshot?: SnapshotId } = {},
  ): Promise<string> {
    const { request, recipient } = await askDisk(broker, disk, asked);
    const { sealed } = await broker.client.call({ op: 'release-disk-key', request, ...put });
    using key = recipient.open(Buffer.from(sealed, 'base64'), request);
    return Buffer.from(key.expose()).toString('latin1');
  }
  async function leaves(...disks: readonly DiskId[]): Promise<DiskKeyRequest[]> {
    const words: DiskKeyRequest[] = [];
    for (const disk of disks) words.push((await askDisk(home, disk, { use: 'export', boot: undefined })).request);
    return words;
  }
  async function twoDisks(): Promise<[DiskId, DiskId]> {
    const disks: [DiskId, DiskId] = [newDiskId(), newDiskId()];
    for (const disk of disks) await keyOf(home, disk, { use: 'import' });
    return disks;
  }

  test('leaves with their keys, which are for the host that has it then, and for the other no more', async () => {
    const disks = await twoDisks();
    const keys = [await keyOf(home, disks[0]), await keyOf(home, disks[1])];
    const taken = await take();
    const exported = await exportIt(taken, { disks: await leaves(...disks) });
    expect(parseExport(exported.ticket).disks.map(({ id, name }) => [id, name])).toEqual([
      [disks[0], 'data-0'],
      [disks[1], 'data-1'],
    ]);
    for (const key of keys) expect(exported.ticket).not.toContain(key);
    await expect(keyOf(home, disks[0])).rejects.toThrow(/no disk is opened for it: hello was moved/);
    await begin(away, exported);
    expect(await codeOf(keyOf(away, disks[0]))).toBe('not-found');
    await finish(away, exported);
    expect([await keyOf(away, disks[0]), await keyOf(away, disks[1])]).toEqual(keys);
    const stranger = await makeReferenceKey();
    expect(await codeOf(keyOf(away, disks[0], { host: stranger }))).toBe('unauthorized');
    // A person says that it never arrived.
    expect(await keyOf(home, disks[0], {}, { rewind: true })).toBe(keys[0]);
    await away.client.call({ op: 'rotate-root-key' });
    expect(await keyOf(away, disks[0])).toBe(keys[0]);
  });

  test('comes home, and is put back to what has come before its disks open for anything else', async () => {
    const [disk] = await twoDisks();
    const key = await keyOf(home, disk);
    const taken = await take();
    await bring(away, await exportIt(taken, { disks: await leaves(disk) }));
    expect(await restore(away, taken)).toBe(DONE);
    const later = await take(away);
    const { request } = await askDisk(away, disk, { use: 'export', boot: undefined });
    await bring(home, await exportIt(later, { from: away, to: await recipientOf(home), disks: [request] }));
    expect(await codeOf(keyOf(home, disk))).toBe('conflict');
    expect(await codeOf(keyOf(home, disk, {}, { snapshot: taken.snapshot }))).toBe('conflict');
    expect(await keyOf(home, disk, {}, { snapshot: later.snapshot })).toBe(key);
    expect(await restore(home, later)).toBe(DONE);
    expect(await keyOf(home, disk)).toBe(key);
  });

  test('leaves with no disk for which its host has not signed that it is this machine’s', async () => {
    const [disk] = await twoDisks();
    const taken = await take();
    const other = await home.addMachine();
    const word = { use: 'export', boot: undefined } as const;
    const refused: [string, DiskKeyRequest, string][] = [
      ['for a start', (await askDisk(home, disk)).request, 'unauthorized'],
      ['for another machine', (await askDisk(home, disk, { ...word, machine: other.id })).request, 'unauthorized'],
      [
        'by another host',
        (await askDisk(home, disk, { ...word, host: await makeReferenceKey() })).request,
        'unauthorized',
      ],
      ['for another disk', { ...(await askDisk(home, disk, word)).request, disk: newDiskId() }, 'unauthorized'],
      ['of which there is no key', (await askDisk(home, newDiskId(), word)).request, 'not-found'],
    ];
    for (const [what, request, code] of refused) {
      expect(await codeOf(exportIt(taken, { disks: [request] })), what).toBe(code);
    }
    // And that word asks for no key.
    expect(await codeOf(keyOf(home, disk, word))).toBe('unauthorized');
    expect(await codeOf(exportIt(taken))).toBe(DONE);
  });

  test('is refused with keys that were exchanged, or are others than those that are there', async () => {
    const [one, two] = await twoDisks();
    const taken = await take();
    const exported = await exportIt(taken, { mode: 'backup', disks: await leaves(one, two) });
    const swapped = await signedAnew(exported, ({ disks, ...ticket }) => {
      const [first, second] = disks;
      if (first === undefined || second === undefined) throw new Error('it has two disks');
      return {
        ...ticket,
        disks: [
          { ...first, key: second.key },
          { ...second, key: first.key },
        ],
      };
    });
    await expect(begin(away, swapped, { rewind: true })).rejects.toThrow(/imported disk in its ticket does not open/);
    const before = await keyOf(away, one, { use: 'import' });
    await expect(begin(away, exported, { rewind: true })).rejects.toThrow(/is another than the one that is here/);
    expect(await keyOf(away, one, { use: 'import' })).toBe(before);
    expect(await codeOf(keyOf(away, two))).toBe('not-found');
  });

  test('is taken where a key of its disks was destroyed only by the word of a person', async () => {
    const [disk] = await twoDisks();
    const taken = await take();
    const kept = await exportIt(taken, { mode: 'backup', to: await recipientOf(home), disks: await leaves(disk) });
    await home.client.call({ op: 'forget-snapshot', snapshot: taken.snapshot });
    await home.client.call({ op: 'forget-disk', disk, name: 'data' });
    await expect(begin(home, kept)).rejects.toThrow(/the key of its disk data-0 was destroyed here on purpose/);
    await bring(home, kept, { rewind: true });
    expect(await keyOf(home, disk)).toMatch(/^[0-9a-f]{64}$/);
  });
});
