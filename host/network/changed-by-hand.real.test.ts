// Whoever changes rules by hand, in a real kernel: noticed by the number of the commit, named, and put back; and our own changes are never
// taken for somebody else's.
import { PassThrough } from 'node:stream';
import { compileNetwork, parseMachines, parsePolicy, type CompiledNetwork } from '@ringwall/netpolicy';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run, runChecked, type Run } from '../exec/index.ts';
import { applyBatch, inNamespace, listRules, Walls } from './index.ts';
import { NEEDS_PACKETS, Testbed } from './testing/testbed.ts';

const LOOK_MS = 50;
/** Machines that come or go, as fast as they can. */
const OWN_CHANGES = 4_000;
const MACHINES = [1, 2, 3].map((index) => ({
  name: `m${index}`,
  labels: { role: `r${index}` },
  addresses: [`10.20.0.${index}`, `fd00:20::${index}`],
  mac: `52:54:00:00:00:0${index}`,
  interface: `t${index}`,
}));
const NETWORK = (...services: readonly string[]): unknown => ({
  ...{ name: 'app', addresses: ['10.20.0.0/24', 'fd00:20::/64'] },
  rules: [{ name: 'all', action: 'allow', from: 'any', to: 'any', services }],
});

function compile(...services: readonly string[]): CompiledNetwork {
  const [network] = parsePolicy({ version: 1, tenant: 'acme', networks: [NETWORK(...services)] }).networks;
  if (network === undefined) throw new Error('no network');
  return compileNetwork(network, parseMachines(MACHINES, network));
}
const compiled = compile('ping');

let bed: Testbed | undefined;
beforeAll(async () => {
  if (NEEDS_PACKETS !== '') return;
  const [network] = parsePolicy({ version: 1, tenant: 'acme', networks: [NETWORK('ping')] }).networks;
  if (network !== undefined) bed = await Testbed.open(parseMachines(MACHINES, network));
});
afterAll(async () => {
  await bed?.[Symbol.asyncDispose]();
});

function theBed(): Testbed {
  if (bed === undefined) throw new Error('no testbed');
  return bed;
}

/** Everything with its elements, but without what the kernel numbers and counts, also in sets that packets fill: those have a size. */
async function standing(): Promise<string[]> {
  const passing = new Set(['handle', 'packets', 'bytes']);
  const text = (object: unknown): string =>
    JSON.stringify(object, (key, value: unknown) => {
      if (key === 'elem' && Array.isArray(value)) return value.map((each) => JSON.stringify(each)).toSorted();
      return passing.has(key) ? undefined : value;
    });
  const listed = await listRules(theBed().inside, false);
  return listed
    .filter((object) => Object(Object(object).set).size === undefined)
    .map((object) => text(object))
    .toSorted();
}

/** Until it is disposed of; `said` is what was said meanwhile. */
function lookAfter(walls: Walls, everyMs = LOOK_MS): AsyncDisposable & { readonly said: readonly string[] } {
  const said: string[] = [];
  const stop = new AbortController();
  const looking = walls.lookAfter((what) => said.push(what), everyMs, stop.signal);
  return {
    said,
    [Symbol.asyncDispose]: () => {
      stop.abort();
      return looking;
    },
  };
}

describe.skipIf(NEEDS_PACKETS !== '')(`walls that somebody changes by hand${NEEDS_PACKETS}`, () => {
  test('are put back where one element was exchanged for another, and it is said who it was', async () => {
    const { inside } = theBed();
    const walls = new Walls(inside);
    await walls.raise(compiled);
    const before = await standing();
    await using looked = lookAfter(walls);
    await expect.poll(() => walls.inspect()).toBe('standing');
    // The first machine’s address becomes the second’s: as many elements as before, and the same rules.
    const own = (address: string): string => `element inet ringwall senders4 { "t1" . 52:54:00:00:00:01 . ${address} }`;
    await runChecked(inside, ['/usr/sbin/nft', `delete ${own('10.20.0.1')}; add ${own('10.20.0.2')}`]);
    await expect
      .poll(() => looked.said)
      .toEqual([
        expect.stringMatching(
          /^the rules of the network were changed by somebody else \(nft, process \d+\); they are put back$/,
        ),
      ]);
    await expect.poll(() => walls.inspect()).toBe('standing');
    expect(await standing()).toEqual(before);
    expect(walls.timesPutBack).toBe(1);
  });

  test.each([
    ['all of it is flushed', { flush: { ruleset: null } }],
    ['a chain is flushed', { flush: { chain: { family: 'inet', table: 'ringwall', name: 'guard' } } }],
    ['a set is flushed', { flush: { set: { family: 'inet', table: 'ringwall', name: 'senders4' } } }],
    ['a table is added', { add: { table: { family: 'inet', name: 'other' } } }],
  ])('are put back, and it is said, where %s', async (_, command) => {
    const walls = new Walls(theBed().inside);
    await walls.raise(compiled);
    await applyBatch(theBed().inside, [command]);
    expect(await walls.inspect()).toBe('changed');
    // Who it was is not known: nobody has listened yet.
    await using looked = lookAfter(walls);
    await expect
      .poll(() => looked.said)
      .toEqual(['the rules of the network were changed by somebody else; they are put back']);
    expect(await walls.inspect()).toBe('standing');
  });

  test('are never taken for changed by what is their own, however much it is', async () => {
    const walls = new Walls(theBed().inside);
    await walls.raise(compiled);
    await using looked = lookAfter(walls, 1);
    await bed?.stations[0]?.tell('listen', [], []);
    const other = compile('ping', 'tcp/80');
    const [network] = parsePolicy({ version: 1, tenant: 'acme', networks: [NETWORK('ping')] }).networks;
    const [machine] = network === undefined ? [] : parseMachines(MACHINES, network);
    if (machine === undefined) throw new Error('no machine');
    for (let turn = 0; turn < OWN_CHANGES / 2; turn += 1) {
      // Elements that packets bring and that are forgotten, and whoever reads or resets a count, change no rule.
      if (turn % 500 === 0) await bed?.stations[0]?.tell('probe', turn / 500, [['icmp', '10.20.0.9', 8]], 0);
      if (turn % 500 === 0) await runChecked(theBed().inside, ['/usr/sbin/nft', 'reset', 'counters']);
      if (turn % 100 === 0) await walls.counts();
      if (turn % 200 === 0) await walls.change(turn % 400 === 0 ? other : compiled);
      expect(await walls.dismiss(machine)).toBe(true);
      expect(await walls.admit(machine)).toBe(true);
    }
    expect(await walls.inspect()).toBe('standing');
    expect(looked.said).toEqual([]);
    expect(walls.timesPutBack).toBe(0);
  });

  test('are changed no further by whoever knows not of it: what was wanted is put in force as a whole', async () => {
    const { inside, file } = theBed();
    let isArmed = false;
    const exchange = { flush: { set: { family: 'inet', table: 'ringwall', name: 'senders4' } } };
    const flushed: Run = async (argv, options) => {
      const result = await run(argv, options);
      if (isArmed && argv.includes('/usr/sbin/nft')) {
        isArmed = false;
        await applyBatch(inside, [exchange]);
      }
      return result;
    };
    const walls = new Walls(inNamespace(flushed, file));
    await walls.raise(compiled);
    const before = await standing();
    // Right behind the commit that replaces all: the next look finds it.
    isArmed = true;
    await walls.raise(compiled);
    expect([isArmed, await walls.inspect()]).toEqual([false, 'changed']);
    await walls.raise(compiled);
    // Right behind a change: at once.
    isArmed = true;
    await walls.change(compile('ping', 'tcp/80'));
    expect([isArmed, await walls.inspect()]).toEqual([false, 'standing']);
    await walls.change(compiled);
    expect(await standing()).toEqual(before);
    // Just before a machine comes.
    await applyBatch(inside, [exchange]);
    const [network] = parsePolicy({ version: 1, tenant: 'acme', networks: [NETWORK('ping')] }).networks;
    const [machine] = network === undefined ? [] : parseMachines(MACHINES, network);
    expect(machine !== undefined && (await walls.dismiss(machine)) && (await walls.admit(machine))).toBe(true);
    expect(await walls.inspect()).toBe('standing');
    expect(await standing()).toEqual(before);
  });

  test('are not taken for whole while there is a table that its owner keeps from all others', async () => {
    const { inside } = theBed();
    const input = new PassThrough();
    const owner = inside(['/usr/sbin/nft', '-i'], { inputStream: input, timeoutMs: 60_000 });
    input.write('add table inet kept { flags owner; }\n');
    const isKept = async (): Promise<boolean> =>
      (await runChecked(inside, ['/usr/sbin/nft', 'list', 'tables'])).stdout.includes('kept');
    await expect.poll(isKept).toBe(true);
    const walls = new Walls(inside);
    await walls.raise(compiled);
    expect(await walls.inspect()).toBe('changed');
    input.end('quit\n');
    await owner;
    await expect.poll(isKept).toBe(false);
    await walls.raise(compiled);
    expect(await walls.inspect()).toBe('standing');
  });
});
