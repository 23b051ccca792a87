// The kernel's table of neighbours, which is one for all namespaces of a host: a machine that speaks as thousands finds no room in it.
import { setTimeout as sleep } from 'node:timers/promises';
import { compileNetwork, parseMachines, parsePolicy } from '@ringwall/netpolicy';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runChecked } from '../exec/index.ts';
import { readSiteCounts, Walls } from './index.ts';
import { arpFrame, ethernet, icmpv6Packet } from './testing/frames.ts';
import { NEEDS_PACKETS, Testbed } from './testing/testbed.ts';

const FLOOD = 200;
/** As the gateway's rules have it. */
const HEARD = 3;
/** What is sent at once is worked off by then. */
const SETTLE_MS = 500;
const MACHINES = [1, 2].map((index) => ({
  ...{ name: `m${index}`, labels: {}, addresses: [`10.20.0.${index}`, `fd00:20::1${index}`] },
  ...{ mac: `52:54:00:00:00:0${index}`, interface: `t${index}` },
}));
const SOLICITATION = 135;

describe.skipIf(NEEDS_PACKETS !== '')(`the table of neighbours${NEEDS_PACKETS}`, () => {
  let bed: Testbed;
  let walls: Walls;
  const json = {
    version: 1,
    tenant: 'acme',
    networks: [{ name: 'app', addresses: ['10.20.0.0/24', 'fd00:20::/64'], rules: [] }],
  };
  const [network] = parsePolicy(json).networks;
  if (network === undefined) throw new Error('no network');
  const machines = parseMachines(MACHINES, network);
  beforeAll(async () => {
    bed = await Testbed.open(machines);
    walls = new Walls(bed.inside);
  });
  afterAll(async () => {
    await bed[Symbol.asyncDispose]();
  });

  const known = async (family: 4 | 6, device: string): Promise<readonly string[]> => {
    const argv = ['/usr/sbin/ip', `-${family}`, 'neighbour', 'show', 'nud', 'all', 'dev', device];
    const { stdout } = await runChecked(bed.inside, argv);
    return stdout
      .toString()
      .split('\n')
      .filter((line) => line !== '' && !line.includes('NOARP'));
  };

  /** Questions for the gateway, each from another link-local address of the same card. */
  async function solicit(index: 1 | 2, from: number, count: number): Promise<void> {
    const { stdout } = await runChecked(bed.inside, ['/usr/sbin/ip', '-o', 'link', 'show', 'dev', `t${index}`]);
    const gateway = /link\/ether ([0-9a-f:]+)/.exec(stdout.toString())?.[1] ?? '';
    const card = `52:54:00:00:00:0${index}`;
    const option = `0101${card.replaceAll(':', '')}`;
    const body = `00000000fe80${'0'.repeat(27)}1${option}`;
    const frames = Array.from({ length: count }, (_, at) => {
      const source = `fe80:0:0:0:0:0:${index}:${(from + at).toString(16)}`;
      return ethernet(gateway, card, 0x86dd, icmpv6Packet(source, 'fe80:0:0:0:0:0:0:1', SOLICITATION, body));
    });
    await bed.stations[index - 1]?.tell('frames', frames);
    await sleep(SETTLE_MS);
  }

  test('is crowded by a card without walls, with as many as it likes', async () => {
    const before = await known(6, 't1');
    await solicit(1, 1, FLOOD);
    await expect.poll(async () => (await known(6, 't1')).length - before.length).toBeGreaterThanOrEqual(FLOOD);
    await runChecked(bed.inside, ['/usr/sbin/ip', 'neighbour', 'flush', 'nud', 'stale', 'dev', 't1']);
  });

  test('has few of a card behind walls, and the rest is counted; another card is heard as before', async () => {
    await walls.raise(compileNetwork(network, machines));
    const before = await known(6, 't1');
    for (let round = 0; round < 3; round += 1) await solicit(1, 1_000 * (round + 1), FLOOD);
    const crowding = async (): Promise<number> =>
      (await readSiteCounts(bed.inside, walls)).refusedFrom.get('t1')?.get('crowding')?.packets ?? 0;
    await expect.poll(crowding).toBeGreaterThanOrEqual(3 * FLOOD - HEARD);
    const more = (await known(6, 't1')).filter((line) => !before.includes(line));
    expect(more.length).toBeGreaterThan(0);
    expect(more.length).toBeLessThanOrEqual(HEARD);
    const { refusedFrom } = await readSiteCounts(bed.inside, walls);
    expect(refusedFrom.get('t2')?.get('crowding')).toBeUndefined();
    await solicit(2, 7, 1);
    await expect.poll(async () => (await known(6, 't2')).join('\n')).toContain('fe80::2:7 ');
    // One that is heard stays heard.
    const own = /^fe80::1:([\da-f]+) /.exec(more.find((line) => line.startsWith('fe80::1:')) ?? '')?.[1] ?? '';
    await solicit(1, Number.parseInt(own, 16), 1);
    const after = (await readSiteCounts(bed.inside, walls)).refusedFrom;
    expect(after.get('t1')?.get('crowding')).toEqual(refusedFrom.get('t1')?.get('crowding'));
    expect(after.get('t2')?.get('crowding')).toBeUndefined();
  });

  test('has nothing of ARP but what was written down', async () => {
    const before = await known(4, 't1');
    const frames = Array.from({ length: FLOOD }, (_, at) =>
      arpFrame('52:54:00:00:00:01', 1, `10.20.0.${at + 3}`, '169.254.1.1'),
    );
    await bed.stations[0]?.tell('frames', frames);
    await sleep(SETTLE_MS);
    expect(await known(4, 't1')).toEqual(before);
    expect(before).toHaveLength(1);
  });
});
