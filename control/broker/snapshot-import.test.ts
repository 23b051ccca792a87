// Snapshots that come to a broker: from whom they are taken, how often, and what may live twice.
import { toHex } from '@ringwall/bytes';
import { makeKeyPair } from '@ringwall/seal';
import { describe, expect, test } from 'vitest';
import { codeOf } from './testing/instance.ts';
import {
  DONE,
  home,
  away,
  machine,
  ask,
  take,
  headOf,
  recipientOf,
  exportIt,
  begin,
  finish,
  bring,
  restore,
  boots,
  resigned,
  signedAnew,
  useTwoBrokers,
} from './testing/transfers.ts';

useTwoBrokers();

describe('an import', () => {
  test('of a broker that nothing was taken from yet wants its fingerprint, once', async () => {
    const [first, second] = [await take(), await take()];
    const copy = await exportIt(first, { mode: 'backup' });
    expect(await codeOf(begin(away, copy, { accept: 'ab'.repeat(32), rewind: true }))).toBe('unauthorized');
    await bring(away, copy, { rewind: true });
    const { request } = await ask(away, second.snapshot, 'import');
    const next = await exportIt(second, { mode: 'backup' });
    expect(await codeOf(away.client.call({ op: 'begin-import', request, ...next, rewind: true }))).toBe(DONE);
  });

  test('is taken once; then it wants a word, also when snapshot and machine are gone', async () => {
    const taken = await take();
    const exported = await exportIt(taken);
    await begin(away, exported);
    await bring(away, exported);
    await finish(away, exported);
    expect(await codeOf(begin(away, exported))).toBe('conflict');
    await away.client.call({ op: 'forget-snapshot', snapshot: taken.snapshot });
    expect(await codeOf(begin(away, exported))).toBe('conflict');
    await away.client.call({ op: 'forget-machine', machine: machine.id });
    expect(await codeOf(begin(away, exported))).toBe('conflict');
    expect(await codeOf(begin(away, exported, { rewind: true }))).toBe(DONE);
  });

  test('of a copy wants a word elsewhere, and at home before the machine is put back to it', async () => {
    const taken = await take();
    const copy = await exportIt(taken, { mode: 'backup' });
    expect(await codeOf(begin(away, copy))).toBe('conflict');
    const kept = await exportIt(taken, { mode: 'backup', to: await recipientOf(home) });
    expect(await codeOf(begin(home, kept))).toBe('conflict');
    await home.client.call({ op: 'forget-snapshot', snapshot: taken.snapshot });
    await bring(home, kept);
    expect(await restore(home, taken)).toBe('conflict');
    expect(await restore(home, taken, true)).toBe(DONE);
    expect(await boots(home)).toBe('open');
  });

  test('does not bring back a machine whose keys were destroyed, without a word', async () => {
    const taken = await take();
    const kept = await exportIt(taken, { mode: 'backup', to: await recipientOf(home) });
    await home.client.call({ op: 'forget-machine', machine: machine.id });
    expect(await codeOf(begin(home, kept))).toBe('conflict');
    await bring(home, kept, { rewind: true });
    expect(await restore(home, taken)).toBe(DONE);
  });

  test('is refused to whom it is not for, and where ticket, head or machine were exchanged', async () => {
    const [taken, other] = [await take(), await take()];
    const exported = await exportIt(taken, { mode: 'backup' });
    const refused: [string, () => Promise<unknown>][] = [
      [
        'another recipient',
        async () => begin(away, await exportIt(taken, { mode: 'backup', to: toHex((await makeKeyPair()).publicKey) })),
      ],
      ['another machine', async () => begin(away, exported, { as: (await home.addMachine()).id })],
      [
        'another object',
        async () =>
          begin(away, { ...exported, head: (await exportIt(other, { mode: 'backup' })).head }, { rewind: true }),
      ],
      [
        'the envelope that it had',
        async () => begin(away, { ...exported, head: await headOf(taken.object) }, { rewind: true }),
      ],
      [
        'a head that was cut',
        async () => begin(away, { ...exported, head: exported.head.slice(0, 400) }, { rewind: true }),
      ],
      [
        'another mode',
        async () =>
          begin(
            away,
            resigned(exported, (ticket) => ({ ...ticket, mode: 'move' })),
          ),
      ],
      [
        'another name',
        async () =>
          begin(
            away,
            resigned(exported, (ticket) => ({ ...ticket, machine: { ...ticket.machine, cpus: 9 } })),
          ),
      ],
      [
        'no ticket',
        async () => away.client.call({ op: 'finish-import', ticket: '{}', machine: machine.id, name: 'web' }),
      ],
      ['nothing begun', async () => finish(away, exported)],
    ];
    for (const [what, attempt] of refused) {
      expect(['proof-invalid', 'unauthorized', 'conflict'], what).toContain(await codeOf(attempt()));
    }
  });

  test('ends with the ticket that it began with, not with one that says something else', async () => {
    const taken = await take();
    const exported = await exportIt(taken);
    const stranger = await away.addMachine();
    await begin(away, exported);
    const forged = await signedAnew(exported, (ticket) => ({
      ...ticket,
      tpm: { ...ticket.tpm, ekCertificate: stranger.ekCertificate, akName: undefined },
    }));
    expect(await codeOf(finish(away, forged))).toBe('proof-invalid');
    const elsewhere = await signedAnew(exported, (ticket) => ({
      ...ticket,
      machine: { ...ticket.machine, id: stranger.id },
    }));
    expect(await codeOf(finish(away, elsewhere))).toBe('proof-invalid');
    await finish(away, exported);
    expect(await restore(away, taken)).toBe(DONE);
  });

  test('of one state under two tickets is one: the machine may have gone on since', async () => {
    const taken = await take();
    const [first, second] = [await exportIt(taken), await exportIt(taken)];
    await bring(away, first);
    expect(await restore(away, taken)).toBe(DONE);
    const later = await take(away);
    await exportIt(later, { from: away, to: toHex((await makeKeyPair()).publicKey) });
    await away.client.call({ op: 'forget-snapshot', snapshot: taken.snapshot });
    expect(await codeOf(begin(away, second))).toBe('conflict');
    expect(await codeOf(begin(away, second, { rewind: true }))).toBe(DONE);
  });

  test('that was begun does not end once snapshot or machine were destroyed', async () => {
    const taken = await take();
    const kept = await exportIt(taken, { mode: 'backup', to: await recipientOf(home) });
    await home.client.call({ op: 'forget-snapshot', snapshot: taken.snapshot });
    await begin(home, kept);
    await home.client.call({ op: 'forget-snapshot', snapshot: taken.snapshot });
    expect(await codeOf(finish(home, kept))).toBe('conflict');
    await begin(home, kept);
    await home.client.call({ op: 'forget-machine', machine: machine.id });
    expect(await codeOf(finish(home, kept))).toBe('conflict');
    expect(await codeOf(begin(home, kept))).toBe('conflict');
  });

  test('under the id of another machine’s snapshot is refused', async () => {
    const taken = await take();
    await bring(away, await exportIt(taken));
    const other = await home.addMachine();
    const forged = await signedAnew(await exportIt(taken), (ticket) => ({
      ...ticket,
      id: 'ab'.repeat(16),
      machine: { ...ticket.machine, id: other.id },
      tpm: { ...ticket.tpm, ekCertificate: other.ekCertificate },
    }));
    await expect(begin(away, forged)).rejects.toMatchObject({
      code: 'proof-invalid',
      message: expect.stringMatching(/is of another machine/),
    });
  });

  test('of a machine that has another disk or TPM here is refused', async () => {
    const taken = await take();
    const kept = await exportIt(taken, { mode: 'backup', to: await recipientOf(home) });
    await home.client.call({ op: 'forget-snapshot', snapshot: taken.snapshot });
    await home.client.call({ op: 'rotate-key', machine: machine.id });
    await boots(home);
    expect(await codeOf(begin(home, kept, { rewind: true }))).toBe('conflict');
  });
});
