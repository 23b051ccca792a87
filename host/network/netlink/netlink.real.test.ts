// Batches in a real kernel: what nft lists of elements that came by netlink is what it lists of those that it has put there itself.
import { readdir, readFile } from 'node:fs/promises';
import {
  compileNetwork,
  type CompiledNetwork,
  type ElementChange,
  parseFarMachines,
  parseMachines,
  parsePolicy,
  renderTable,
} from '@ringwall/netpolicy';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run, type Run } from '../../exec/index.ts';
import { applyBatch, inNamespace, listRules, Walls } from '../index.ts';
import { NEEDS_PACKETS, Testbed } from '../testing/testbed.ts';
import { encodeBatch } from './encode.ts';
import { NetlinkSender } from './sender.ts';

/** An answer takes some 800 bytes of 208 KiB. */
const REFUSALS = 1_000;
const FLUSH = [{ flush: { ruleset: null } }];

let bed: Testbed | undefined;
beforeAll(async () => {
  if (NEEDS_PACKETS === '') bed = await Testbed.open([]);
});
afterAll(async () => {
  await bed?.[Symbol.asyncDispose]();
});

function inside(): Testbed['inside'] {
  if (bed === undefined) throw new Error('no testbed');
  return bed.inside;
}

/** Machines of both families, here and elsewhere, with shares of their own. */
function compile(): CompiledNetwork {
  const rules = [
    { name: 'all', action: 'allow', from: 'any', to: { labels: { role: 'g1' } }, services: ['tcp/80-90', 'ping'] },
    { name: 'late', action: 'allow', from: 'any', to: 'any', services: ['gre'], log: true },
  ];
  const json = {
    version: 1,
    tenant: 'acme',
    networks: [
      {
        name: 'app',
        addresses: ['10.20.0.0/16', 'fd00:20::/64'],
        internet: 'nat',
        rules,
        shares: [{ labels: { role: 'g2' }, sendMbit: 7 }, {}],
      },
    ],
  };
  const [network] = parsePolicy(json).networks;
  if (network === undefined) throw new Error('no network');
  const named = Array.from({ length: 700 }, (_, index) => ({
    name: `m${index}`,
    labels: { role: `g${index % 3}` },
    addresses: [
      `10.20.${index >> 8}.${index & 255}`,
      `fd00:20::${(index * 0x1_0001 + 2)
        .toString(16)
        .replace(/(.{4})$/, ':$1')
        .replace(/^:/, '')}`,
    ],
  }));
  const near = parseMachines(
    named.slice(0, 650).map((machine, index) => ({
      ...machine,
      mac: `52:54:00:00:${(index >> 8).toString(16).padStart(2, '0')}:${(index & 255).toString(16).padStart(2, '0')}`,
      interface: `t${index}`,
    })),
    network,
  );
  const far = parseFarMachines(
    named.slice(650).map((machine) => ({ ...machine, host: 'beta', interface: 'wgbeta' })),
    network,
    near,
  );
  return compileNetwork(network, [...near, ...far]);
}

/** Each object that nft lists, elements in order, without the numbers that the kernel gives. */
async function listed(): Promise<string[]> {
  const sorted = (_: string, value: unknown): unknown => {
    if (Array.isArray(value))
      return value.every((item) => typeof item !== 'object' || 'concat' in Object(item) || Array.isArray(item))
        ? value.map((item: unknown) => JSON.stringify(item)).toSorted()
        : value;
    return value;
  };
  return (await listRules(inside(), false))
    .map((object) =>
      JSON.stringify(object, (key, value: unknown) => (key === 'handle' ? undefined : sorted(key, value))),
    )
    .toSorted();
}

/** Processes that run this program's text in this namespace’s name. */
async function senders(): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const status = await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '');
    const argv = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    const parent = Number(status.split(') ')[1]?.split(' ')[1]);
    if (parent === process.pid && argv.includes('NETLINK_NETFILTER')) found.push(Number(entry));
  }
  return found;
}

describe.skipIf(NEEDS_PACKETS !== '')(`batches of netlink${NEEDS_PACKETS}`, () => {
  test('put the same elements in force as nft does', async () => {
    const compiled = compile();
    await applyBatch(inside(), [...FLUSH, ...compiled.ruleset.tables.flatMap((table) => renderTable(table))]);
    const byNft = await listed();
    await applyBatch(inside(), FLUSH);
    const walls = new Walls(inside());
    await walls.raise(compiled);
    expect(await listed()).toEqual(byNft);
    expect(byNft.join().length).toBeGreaterThan(100_000);
    expect(await walls.inspect()).toBe('standing');
  });

  test('are refused as a whole, and the message at fault is named', async () => {
    const [place, set] = [
      { family: 'inet', table: 'x' },
      { name: 'marks', key: ['mark'], interval: false, elements: [] },
    ] as const;
    await applyBatch(inside(), [
      ...FLUSH,
      { add: { table: { family: 'inet', name: 'x' } } },
      { add: { set: { ...place, name: 'marks', type: 'mark' } } },
    ]);
    const before = await listed();
    const table = { family: 'inet', name: 'x' } as const;
    const change = (verb: ElementChange['verb'], mark: number): ElementChange => ({
      verb,
      table,
      set,
      elements: [{ key: [mark] }],
    });
    const sender = new NetlinkSender(inside());
    await expect(sender.send(encodeBatch([change('add', 1), change('delete', 7), change('add', 2)]))).rejects.toThrow(
      'the kernel refuses to delete 1 of inet x marks, from [7] on: No such file or directory',
    );
    expect(await listed()).toEqual(before);
    const { generation, tables } = await sender.look();
    expect(tables).toBe(1);
    const more = [change('add', 1), change('add', 2)];
    expect(await sender.send(encodeBatch(more, generation))).toBe(generation + 1);
    expect(await listed()).not.toEqual(before);
    // Whoever does not know of it changes nothing.
    await expect(sender.send(encodeBatch([change('add', 3)], generation))).rejects.toThrow('refuses to take the batch');
  });

  test('are answered for themselves, after one with more refusals than the kernel has room to tell', async () => {
    const table = { family: 'inet', name: 'x' } as const;
    const set = { name: 'marks', key: ['mark'], interval: false, elements: [] } as const;
    const nowhere = Array.from({ length: REFUSALS }, (_, mark): ElementChange => {
      return { verb: 'delete', table, set: { ...set, name: 'nowhere' }, elements: [{ key: [mark] }] };
    });
    const sender = new NetlinkSender(inside());
    expect(await sender.send(encodeBatch(nowhere))).toBe('unknown');
    const { generation } = await sender.look();
    const one = encodeBatch([{ verb: 'add', table, set, elements: [{ key: [9] }] }]);
    expect(await sender.send(one)).toBe(generation + 1);
  });

  test('leave no sender behind where the rules that it was started for are refused', async () => {
    await applyBatch(inside(), FLUSH);
    const compiled = compile();
    const [table, ...others] = compiled.ruleset.tables;
    if (table === undefined) throw new Error('no table');
    const broken = {
      ...table,
      chains: [...table.chains, { name: 'lost', rules: [[{ verdict: { goto: 'nowhere' } }]] }],
    };
    const walls = new Walls(inside());
    await expect(walls.raise({ ...compiled, ruleset: { tables: [broken, ...others] } })).rejects.toThrow('nft refuses');
    await expect.poll(senders).toEqual([]);
  });

  test('leave the walls whole where nobody answers: nft puts them up then', async () => {
    await applyBatch(inside(), FLUSH);
    let ends = 1;
    // It says that nothing stands, and ends with the batch.
    const said = 'sysread STDIN, my $length, 4; $| = 1; print "standing 1 0\\n"; sysread STDIN, $length, 4';
    const mute: Run = (argv, options) => {
      if (!argv.includes('/usr/bin/perl') || ends === 0) return run(argv, options);
      ends -= 1;
      return run([...argv.slice(0, -1), said], options);
    };
    const walls = new Walls(inNamespace(mute, bed?.file ?? ''));
    await walls.raise(compile());
    expect(ends).toBe(0);
    expect(await walls.inspect()).toBe('standing');
    expect((await listed()).join()).not.toContain('ringwall-lock');
  });

  test('end their sender soon after the last', async () => {
    await expect.poll(senders).toEqual([]);
  });
});
