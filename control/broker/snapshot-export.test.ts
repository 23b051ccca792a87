// Snapshots that leave a broker: who can open them, what comes with them, and what is left where they were.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex, toHex } from '@ringwall/bytes';
import { parseExport } from '@ringwall/evidence';
import { openSealed, readObjectHead } from '@ringwall/seal';
import { describe, expect, test } from 'vitest';
import { fingerprintOf } from './snapshot-import.ts';
import { codeOf } from './testing/instance.ts';
import {
  CONTENTS,
  DONE,
  SPEC,
  home,
  away,
  machine,
  ask,
  take,
  headOf,
  recipientOf,
  exportIt,
  begin,
  beginOne,
  finish,
  bring,
  restore,
  boots,
  signedAnew,
  base64,
  useTwoBrokers,
} from './testing/transfers.ts';

useTwoBrokers();

describe('a machine that moves', () => {
  test('in a state that continues others leaves with all of them, in their order, and with no other', async () => {
    const one = await take();
    const two = await take(home, one);
    const three = await take(home, two);
    const stranger = await take();
    for (const below of [[], [two], [one], [two, one], [one, two, stranger], [stranger, two]]) {
      expect(await codeOf(exportIt(three, { mode: 'backup', below }))).toBe('conflict');
    }
    // As it says it is, and with the bytes of another.
    const altered = [one, { ...two, object: stranger.object }];
    expect(await codeOf(exportIt(three, { mode: 'backup', below: altered }))).toBe('proof-invalid');
    const exported = await exportIt(three, { mode: 'backup', below: [one, two] });
    expect(parseExport(exported.ticket).bases.map(({ root }) => root)).toEqual([one.root, two.root]);
    expect(await codeOf(exportIt(one, { mode: 'backup' }))).toBe(DONE);
  });

  test('in a state that continues others is put back there, and what it continues is kept for it', async () => {
    const one = await take();
    const two = await take(home, one);
    const exported = await exportIt(two, { below: [one] });
    expect(await codeOf(finish(away, exported))).toBe('conflict');
    await beginOne(away, exported, {}, parseExport(exported.ticket).snapshot);
    // The one below it was not begun.
    expect(await codeOf(finish(away, exported))).toBe('conflict');
    await bring(away, exported);
    await finish(away, exported);
    const { request } = await ask(away, one.snapshot, 'base');
    expect(await codeOf(away.client.call({ op: 'release-snapshot-key', request, rewind: false }))).toBe(DONE);
    expect(await restore(away, one)).toBe('conflict');
    expect(await restore(away, two)).toBe(DONE);
    expect(await codeOf(away.client.call({ op: 'forget-snapshot', snapshot: one.snapshot }))).toBe('conflict');
    await away.client.call({ op: 'forget-snapshot', snapshot: two.snapshot });
    await away.client.call({ op: 'forget-snapshot', snapshot: one.snapshot });
    expect(await codeOf(bring(away, exported))).toBe('conflict');
    expect((await away.client.call({ op: 'rotate-root-key' })).keys).toBeGreaterThan(0);
  });

  test('is refused with what it continues swapped, another’s, or left out of its ticket', async () => {
    const one = await take();
    const two = await take(home, one);
    const three = await take(home, two);
    const exported = await exportIt(three, { below: [one, two] });
    const [first = '', second = ''] = exported.bases ?? [];
    expect(await codeOf(bring(away, { ...exported, bases: [second, first] }))).toBe('proof-invalid');
    expect(await codeOf(bring(away, { ...exported, bases: [first, first] }))).toBe('proof-invalid');
    const without = await signedAnew(exported, ({ bases, ...ticket }) => ({ ...ticket, bases: bases.slice(1) }));
    expect(await codeOf(bring(away, { ...without, bases: [second] }))).toBe('proof-invalid');
    const alone = await signedAnew(exported, (ticket) => ({ ...ticket, bases: [] }));
    expect(await codeOf(bring(away, alone))).toBe('proof-invalid');
    await bring(away, exported);
  });

  test('is opened there with another envelope alone, proves itself with its TPM, and has its disk’s key', async () => {
    const taken = await take();
    const exported = await exportIt(taken);
    const before = Buffer.from(exported.head, 'base64');
    expect(before.length).toBe((await readObjectHead([taken.object])).bytes.length);
    expect(Buffer.compare(before.subarray(-200), taken.object.subarray(before.length - 200, before.length))).toBe(0);
    await begin(away, exported);
    await finish(away, exported);
    expect(await restore(away, taken)).toBe(DONE);
    const then = { ...machine.tpm.clockInfo };
    machine.tpm.clockInfo = { ...then, resetCount: then.resetCount + 1 };
    expect(await boots(away)).toBe('open');
    expect((await take(away)).sequence).toBe(taken.sequence + 1);
  });

  test('gives the object’s key to the host that has received it, and its contents to nobody on the way', async () => {
    const taken = await take();
    const exported = await exportIt(taken);
    const { request, recipient } = await ask(away, taken.snapshot, 'import');
    const accept = fingerprintOf(parseExport(exported.ticket).broker.publicKey);
    const begun = await away.client.call({ op: 'begin-import', request, ...exported, rewind: false, accept });
    if ('here' in begun) throw new Error('it was nowhere');
    using key = recipient.open(Buffer.from(begun.sealed, 'base64'), request);
    const head = Buffer.from(begun.head, 'base64');
    const arrived = Buffer.concat([head, taken.object.subarray(head.length)]);
    const { contents } = await openSealed([arrived], {
      openers: [{ kind: 'key', key: key.expose() }],
      root: fromHex(taken.root),
    });
    const pieces: Uint8Array[] = [];
    for await (const piece of contents) if (piece.kind === 'data') pieces.push(piece.bytes);
    expect(Buffer.concat(pieces).equals(CONTENTS)).toBe(true);
    for (const secret of [toHex(key.expose()), base64(key.expose())])
      expect(JSON.stringify(exported)).not.toContain(secret);
  });

  test('starts no more where it was, and is neither saved nor put back there, but by a word that is written down', async () => {
    const taken = await take();
    await exportIt(taken);
    await expect(boots(home)).rejects.toThrow(/was moved to ringwall-recipient:/);
    expect(await codeOf(take())).toBe('conflict');
    expect(await restore(home, taken)).toBe('conflict');
    expect(await codeOf(exportIt(taken, { to: 'ab'.repeat(32) }))).toBe('conflict');
    await exportIt(taken);
    expect(await restore(home, taken, true)).toBe(DONE);
    expect(await boots(home)).toBe('open');
    const log = readFileSync(join(home.stateDirectory, 'audit.log'), 'utf8');
    expect(log).toContain(`"recipient":"${await recipientOf(away)}","mode":"move","outcome":"ok"`);
  });

  test('is the one that its snapshot is of', async () => {
    const taken = await take();
    const { id } = await home.addMachine();
    const { snapshot, object } = taken;
    const order = { snapshot, machine: id, head: await headOf(object), bytes: object.length, spec: SPEC } as const;
    const takenAt = '2026-11-21T12:00:00.000Z';
    const recipient = await recipientOf(away);
    const asked = home.client.call({ op: 'export-snapshot', ...order, takenAt, recipient, mode: 'backup' });
    expect(await codeOf(asked)).toBe('unauthorized');
  });

  test('moves with its newest state, which nobody has resumed', async () => {
    const [older, newest] = [await take(), await take()];
    expect(await codeOf(exportIt(older))).toBe('conflict');
    expect(await restore(home, newest)).toBe(DONE);
    expect(await codeOf(exportIt(newest))).toBe('conflict');
    await exportIt(older, { mode: 'backup' });
  });

  test('comes back, and what lay here of it since is not started', async () => {
    const taken = await take();
    await bring(away, await exportIt(taken));
    expect(await restore(away, taken)).toBe(DONE);
    const later = await take(away);
    const back = await exportIt(later, { from: away, to: await recipientOf(home) });
    await bring(home, back);
    await expect(boots(home)).rejects.toThrow(/was moved/);
    expect(await restore(home, taken)).toBe('conflict');
    expect(await restore(home, later)).toBe(DONE);
    expect(await boots(home)).toBe('open');
    expect(await restore(away, taken)).toBe('conflict');
  });
});

test('the key that others export to, and one that is arriving, outlive another root key', async () => {
  const taken = await take();
  const exported = await exportIt(taken);
  const before = await recipientOf(away);
  await begin(away, exported);
  await away.client.call({ op: 'rotate-root-key' });
  await away.restart();
  expect(await recipientOf(away)).toBe(before);
  await finish(away, exported);
  expect(await restore(away, taken)).toBe(DONE);
});
