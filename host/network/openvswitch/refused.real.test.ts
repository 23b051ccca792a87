// What a switch refuses is told as it happens: whose it was, to whom, by what, and why; counted by machine; and as much as it is, it costs no
// more than a measure, hides nothing of others, and gets nowhere.
import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  compileSwitched,
  parseMachines,
  RefusedLog,
  RefusedSummary,
  SWITCH_DEVICE,
  type Network,
  type RefusedRow,
} from '@ringwall/netpolicy';
import { killProcess, run, runChecked } from '../../exec/index.ts';
import { readTraffic } from '../counts.ts';
import { applyBatch, connectGateways, sniff } from '../index.ts';
import { arpFrame, ethernet, ipv4Packet, markerOf, udp } from '../testing/frames.ts';
import { listenAll, networkOf } from '../testing/journeys.ts';
import { NEEDS_SWITCH, openSwitched, type Switched } from '../testing/switched.ts';
import type { Station } from '../testing/testbed.ts';

const LACKS = NEEDS_SWITCH !== '' || existsSync('/usr/bin/tcpdump') ? NEEDS_SWITCH : ' (skipped: needs tcpdump)';
const TOLD = { timeout: 120_000, interval: 50 } as const;
const [CARD, OTHER, THIRD, UNKNOWN] = [
  '52:54:00:00:00:01',
  '52:54:00:00:00:02',
  '52:54:00:00:00:03',
  '52:54:00:00:00:77',
];
const WAIT_SECONDS = 0.2;
/** Of one machine as many are logged in a hundred seconds. */
const FLOOD = 1_000;
const LOOK_MS = 50;

const rule = (name: string, action: 'allow' | 'deny', service: string, more: object = {}) => ({
  ...{ name, action, from: 'any', to: 'any', services: [service] },
  ...more,
});
const RULES = [
  rule('web', 'allow', 'tcp/80'),
  rule('no-telnet', 'deny', 'tcp/23'),
  rule('no-smtp', 'deny', 'tcp/25', { log: true }),
  // Of two that deny, one is over: the other tells.
  rule('no-imap-once', 'deny', 'tcp/143', { log: true, before: '2026-01-01T00:00:00Z' }),
  rule('no-imap', 'deny', 'tcp/143', { log: true }),
];
const networkWith = (rules: readonly unknown[]): Network =>
  networkOf({
    version: 1,
    tenant: 'acme',
    networks: [{ name: 'app', mode: 'openvswitch', addresses: ['10.20.0.0/24', 'fd00:20::/64'], rules }],
  });
const MACHINES = parseMachines(
  [1, 2, 3].map((index) => ({
    name: `m${index}`,
    labels: {},
    addresses: [`10.20.0.${index}`, `fd00:20::${index}`],
    mac: `52:54:00:00:00:0${index}`,
    interface: `t${index}`,
  })),
  networkWith([]),
);

let found: Switched | undefined;
let log: Readable | undefined;
const summary = new RefusedSummary();
let round = 0;
beforeAll(async () => {
  if (LACKS !== '') return;
  found = await openSwitched('refused', MACHINES);
  await found.walls.raise(compileSwitched(networkWith(RULES), MACHINES));
  await listenAll(found.bed.stations);
  await found.own.connect(MACHINES);
  log = await watch();
});
afterAll(async () => {
  log?.destroy();
  await found?.[Symbol.asyncDispose]();
});

function here(): Switched {
  if (found === undefined) throw new Error('no switch');
  return found;
}

function station(number: number): Station {
  const one = here().bed.stations[number - 1];
  if (one === undefined) throw new Error(`no station ${number}`);
  return one;
}

type Told = Omit<RefusedRow, 'interfaceIndex'> & { machine: string | undefined };

/** The kernel lets one alone listen, so that all tests have the same. */
async function watch(): Promise<Readable> {
  const packets = await sniff(run, here().bed.inside, { on: 'refused', seconds: 3_600, bytes: 64 * 1024 * 1024 });
  const reader = new RefusedLog();
  return packets.on('data', (bytes: Uint8Array) => {
    for (const packet of reader.push(bytes)) summary.add(packet);
  });
}

/** What was told since it was asked last, with the name of the machine. */
function takeTold(): Told[] {
  const names = new Map(Array.from(here().own.indexes(MACHINES), ([{ name }, index]) => [index, name]));
  return summary.take().rows.map(({ interfaceIndex, ...row }) => ({ machine: names.get(interfaceIndex), ...row }));
}

/** Has the second machine say it until it was told as this, since a busy host is late. Answers all that was told meanwhile. */
async function expectTold(say: () => Promise<unknown>, expected: Partial<Told>): Promise<readonly Told[]> {
  const heard: Told[] = [];
  await expect
    .poll(async () => {
      await say();
      heard.push(...takeTold());
      return heard;
    }, TOLD)
    .toContainEqual(expect.objectContaining({ machine: 'm2', ...expected }));
  return heard;
}

/** As many packets as the switch has handed to the kernel to be logged. */
async function handed(): Promise<number> {
  return (await readTraffic(here().bed.inside)).get(SWITCH_DEVICE)?.sent.packets ?? 0;
}

function probe(protocol: string, to: string, number: number): () => Promise<unknown> {
  return () => station(2).tell('probe', (round += 1), [[protocol, to, number]], WAIT_SECONDS);
}

function frames(frame: string): () => Promise<unknown> {
  return () => station(2).tell('frames', [frame]);
}

function datagram(
  from: string,
  to: string,
  {
    card = OTHER,
    source = 5,
    target = 9,
    word = '',
  }: { card?: string; source?: number; target?: number; word?: string } = {},
): string {
  return ethernet(CARD, card, 0x0800, ipv4Packet(from, to, 17, udp(source, target, markerOf(word))));
}

describe.skipIf(LACKS !== '')(`what an Open vSwitch refuses${LACKS}`, () => {
  test('is told with the machine, whom it meant, the service, the reason, and the rule where that has a log', async () => {
    const [from, to] = ['10.20.0.2', '10.20.0.1'];
    await expectTold(probe('tcp', to, 22), { reason: 'refused', from, to, service: 'tcp/22' });
    const six = { from: 'fd00:20::2', to: 'fd00:20::1' };
    await expectTold(probe('icmp', six.to, 128), { reason: 'refused', ...six, service: 'icmpv6/128' });
    await expectTold(probe('tcp', to, 25), { reason: 'denied', rule: 'no-smtp', from, to, service: 'tcp/25' });
    await expectTold(probe('tcp', to, 143), { reason: 'denied', rule: 'no-imap', from, to, service: 'tcp/143' });
    const spoofed = { reason: 'spoofed', from: '10.20.0.9', to, service: 'udp/9' } as const;
    await expectTold(frames(datagram('10.20.0.9', to)), spoofed);
    const theft = datagram('10.20.0.8', to, { card: UNKNOWN });
    await expectTold(frames(theft), { ...spoofed, from: '10.20.0.8' });
    await expectTold(frames(arpFrame(OTHER, 2, '10.20.0.1', '10.20.0.3')), { reason: 'spoofed', service: 'arp' });
    const offer = datagram(from, to, { source: 67, target: 68 });
    await expectTold(frames(offer), { reason: 'rogue', from, to, service: 'udp/68' });
    // By a rule without a log: that it is denied, and not by which.
    const denied = await expectTold(probe('tcp', to, 23), { reason: 'denied', from, to, service: 'tcp/23' });
    expect(denied.filter(({ service, rule: named }) => service === 'tcp/23' && named !== undefined)).toEqual([]);
  });

  test('is told by the name of a rule that came later', async () => {
    const { walls } = here();
    const denial = { from: '10.20.0.2', to: '10.20.0.1', service: 'tcp/25', reason: 'denied' } as const;
    await walls.change(compileSwitched(networkWith([rule('no-mail', 'deny', 'tcp/25', { log: true })]), MACHINES));
    await expectTold(probe('tcp', denial.to, 25), { ...denial, rule: 'no-mail' });
    await walls.change(compileSwitched(networkWith(RULES), MACHINES));
    await expectTold(probe('tcp', denial.to, 25), { ...denial, rule: 'no-smtp' });
    expect(await walls.inspect()).toBe('standing');
  });

  test('is counted by machine, each packet; a flood is told by a few, and hides nothing of others', async () => {
    const counted = async (device: string): Promise<number> =>
      (await here().walls.counts()).refusedFrom.get(device)?.get('spoofed')?.packets ?? 0;
    const before = await counted('t3');
    const few = Array.from({ length: 5 }, () => datagram('10.20.0.9', '10.20.0.1', { card: THIRD }));
    await station(3).tell('frames', few);
    await expect.poll(() => counted('t3'), TOLD).toBe(before + few.length);

    const flood = datagram('10.20.0.9', '10.20.0.2', { card: CARD });
    const handedBefore = await handed();
    await expect
      .poll(async () => {
        await station(1).tell('flood', [flood], FLOOD);
        return counted('t1');
      }, TOLD)
      .toBeGreaterThan(2 * FLOOD);
    const spoofed = { reason: 'spoofed', service: 'udp/9' } as const;
    const told = await expectTold(frames(datagram('10.20.0.9', '10.20.0.1')), spoofed);
    const ofFlood = told.filter(({ machine }) => machine === 'm1').reduce((sum, { packets }) => sum + packets, 0);
    expect(ofFlood).toBeGreaterThan(0);
    expect(ofFlood).toBeLessThan(FLOOD);
    expect((await handed()) - handedBefore).toBeLessThan(FLOOD);
    const uncounted = async (): Promise<number> => {
      const { refused, refusedFrom } = await here().walls.counts();
      const of = [...refusedFrom.values()].map((counts) => counts.get('spoofed')?.packets ?? 0);
      return (refused.get('spoofed')?.packets ?? 0) - of.reduce((sum, packets) => sum + packets, 0);
    };
    await expect.poll(uncounted, TOLD).toBe(0);
  });

  test('gets nowhere from there, also where somebody has flushed all rules of the kernel', async () => {
    const { bed, own, walls } = here();
    // By which the kernel knows a way to each machine.
    await connectGateways(bed.inside, MACHINES);
    await applyBatch(bed.inside, [{ flush: { ruleset: null } }]);
    await station(1).tell('sniff');
    const before = await handed();
    await expect
      .poll(async () => {
        await station(2).tell('frames', [datagram('10.20.0.2', '10.20.0.1', { word: 'refused' })]);
        return await handed();
      }, TOLD)
      .toBeGreaterThan(before);
    // What comes after it arrives.
    const open = ethernet(CARD, OTHER, 0x0800, ipv4Packet('10.20.0.2', '10.20.0.1', 253, markerOf('open')));
    await walls.raise(compileSwitched(networkWith([rule('all', 'allow', 'any')]), MACHINES));
    const words = [markerOf('open'), markerOf('refused')];
    await expect
      .poll(async () => {
        await station(2).tell('frames', [open]);
        return await station(1).tell('heard', words);
      }, TOLD)
      .toEqual([markerOf('open')]);
    await walls.raise(compileSwitched(networkWith(RULES), MACHINES));
    await own.connect(MACHINES);
  });

  test('is told again where its way was taken down by hand, and where the switch was killed', async () => {
    const { bed, own, walls } = here();
    const refused = { reason: 'refused', to: '10.20.0.1', service: 'tcp/22' } as const;
    await runChecked(bed.inside, ['/usr/sbin/ip', 'link', 'set', 'dev', SWITCH_DEVICE, 'down']);
    expect(await walls.inspect()).toBe('changed');
    expect(await lookedAfter()).toMatch(/changed by somebody else.*put back/);
    await expectTold(probe('tcp', refused.to, 22), refused);
    const { process } = own.daemons;
    if (process === undefined) throw new Error('no switch runs');
    await killProcess(process);
    expect(await lookedAfter()).toMatch(/was gone; it is started again/);
    await expectTold(probe('tcp', refused.to, 22), refused);
  });
});

/** What is said first. */
async function lookedAfter(): Promise<string> {
  const stop = new AbortController();
  const said = Promise.withResolvers<string>();
  const looking = here().walls.lookAfter(said.resolve, LOOK_MS, stop.signal);
  const first = await said.promise;
  stop.abort();
  await looking;
  return first;
}
