// Snapshots that come on top of others which are there already: those stay, and nobody learns of them.
import { newSnapshotId } from '@ringwall/api';
import { parseExport, type SignedExport } from '@ringwall/evidence';
import { describe, expect, test } from 'vitest';
import { makeReferenceKey } from './testing/reference.ts';
import { codeOf } from './testing/instance.ts';
import {
  DONE,
  home,
  away,
  type Taken,
  type Exported,
  type Base,
  take,
  recipientOf,
  exportIt,
  begin,
  finish,
  bring,
  restore,
  signedAnew,
  diskKeyOf,
  keysOf,
  useTwoBrokers,
} from './testing/transfers.ts';

useTwoBrokers();

describe('an import of which some is there already', () => {
  /** Of the machine's first three states, each over the one before; the first two are there, as a copy. */
  async function partly(): Promise<{ one: Taken; two: Taken; three: Taken; exported: Exported }> {
    const one = await take();
    const two = await take(home, one);
    await bring(away, await exportIt(two, { mode: 'backup', below: [one] }), { rewind: true });
    const three = await take(home, two);
    return { one, two, three, exported: await exportIt(three, { mode: 'backup', below: [one, two] }) };
  }

  test('brings what is not, and gives out no other key of what is', async () => {
    const { one, two, three, exported } = await partly();
    const before = await keysOf(away, [one, two]);
    const [first, second, third] = await begin(away, exported, { rewind: true });
    expect([first, second]).toEqual([undefined, undefined]);
    expect(third).toBeDefined();
    expect(await codeOf(finish(away, exported))).toBe(DONE);
    expect(await keysOf(away, [one, two])).toEqual(before);
    expect(await codeOf(finish(away, exported))).toBe(DONE);
    expect(await codeOf(away.client.call({ op: 'forget-snapshot', snapshot: two.snapshot }))).toBe('conflict');
    expect(await restore(away, two)).toBe('conflict');
    expect(await restore(away, three)).toBe(DONE);
  });

  test('says so again of one that was brought and removed', async () => {
    const { three, exported } = await partly();
    await bring(away, exported, { rewind: true });
    await away.client.call({ op: 'forget-snapshot', snapshot: three.snapshot });
    expect(await codeOf(begin(away, exported))).toBe('conflict');
    await bring(away, exported, { rewind: true });
  });

  test('at home, where a copy that was removed comes back on top of what was kept', async () => {
    const one = await take();
    const two = await take(home, one);
    const kept = await exportIt(two, { mode: 'backup', to: await recipientOf(home), below: [one] });
    await home.client.call({ op: 'forget-snapshot', snapshot: two.snapshot });
    expect((await begin(home, kept)).map((opener) => opener !== undefined)).toEqual([false, true]);
    await finish(home, kept);
    expect(await restore(home, two)).toBe('conflict');
    expect(await restore(home, two, true)).toBe(DONE);
  });

  test('of which nothing is left is refused, and of which the newest is older brings no older state as newest', async () => {
    const { one, two, three, exported } = await partly();
    await bring(away, exported, { rewind: true });
    const again = await exportIt(three, { mode: 'backup', below: [one, two] });
    await expect(begin(away, again, { rewind: true })).rejects.toThrow(/@3 is here already$/);
    const older = await exportIt(two, { mode: 'backup', below: [one] });
    await away.client.call({ op: 'forget-snapshot', snapshot: three.snapshot });
    await away.client.call({ op: 'forget-snapshot', snapshot: two.snapshot });
    await bring(away, older, { rewind: true });
    expect(await restore(away, two)).toBe('conflict');
  });

  test('is not ended where what was there has gone meanwhile, nor where it came otherwise', async () => {
    const { one, two, exported } = await partly();
    await begin(away, exported, { rewind: true });
    await away.client.call({ op: 'forget-snapshot', snapshot: two.snapshot });
    expect(await codeOf(finish(away, exported))).toBe('conflict');
    await begin(away, exported, { rewind: true });
    await bring(away, await exportIt(two, { mode: 'backup', below: [one] }), { rewind: true });
    expect(await codeOf(finish(away, exported))).toBe('conflict');
    // Begun again it finds both, and what it had begun of them is gone.
    await bring(away, exported, { rewind: true });
  });

  test('is refused where what is there under that id or number is another, and replaces nothing', async () => {
    const { one, two, three, exported } = await partly();
    const diskKey = await diskKeyOf(three, [one, two]);
    const before = await keysOf(away, [one, two]);
    type Ticket = Pick<SignedExport, 'bases' | 'snapshot'>;
    const altered = (change: (first: Base, second: Base, ticket: SignedExport) => Partial<Ticket>): Promise<Exported> =>
      signedAnew(
        exported,
        (ticket) => {
          const [first, second] = ticket.bases;
          if (first === undefined || second === undefined) throw new Error('nothing goes before it');
          return { ...ticket, ...change(first, second, ticket) };
        },
        diskKey,
      );
    const refused: [string, Exported, RegExp][] = [
      [
        'another content under its id',
        await altered((first, second) => ({ bases: [{ ...first, root: 'ab'.repeat(32) }, second] })),
        /web@1 is here already as snp_.*, with another content: nothing was replaced/,
      ],
      [
        'another object with its number',
        await altered((first, second) => ({ bases: [{ ...first, id: newSnapshotId() }, second] })),
        /web@1 is here already, and is another one/,
      ],
      [
        'its id under another number',
        await altered((first, second, { snapshot }) => ({
          bases: [first, { ...second, sequence: 5 }],
          snapshot: { ...snapshot, sequence: 6 },
        })),
        /web@5 is here already as snp_.*, with another content/,
      ],
      [
        'without what it continues',
        await altered((_, second) => ({ bases: [second] })),
        /web@2 is here already as snp_.*, with another content/,
      ],
    ];
    for (const [what, ticket, said] of refused) {
      const bases = (exported.bases ?? []).slice(-parseExport(ticket.ticket).bases.length);
      await expect(begin(away, { ...ticket, bases }, { rewind: true }), what).rejects.toThrow(said);
    }
    expect(await keysOf(away, [one, two])).toEqual(before);
  });

  test('tells whoever has not got the key of its disk nothing of what is there', async () => {
    const { exported } = await partly();
    const forged = await signedAnew(exported, (ticket) => ticket);
    const other = await signedAnew(exported, ({ bases, ...ticket }) => ({
      ...ticket,
      bases: bases.map((base, index) => (index === 0 ? { ...base, root: 'ab'.repeat(32) } : base)),
    }));
    for (const each of [forged, other])
      await expect(begin(away, each, { rewind: true })).rejects.toThrow(/^the key of its disk is another/);
  });

  test('is refused to another host of the broker than the one on which that lies', async () => {
    const { exported } = await partly();
    const host = await makeReferenceKey();
    await expect(begin(away, exported, { rewind: true, host })).rejects.toThrow(/is on another host of this broker/);
  });
});
