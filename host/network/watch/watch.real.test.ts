// Watching in a real kernel: what machines are refused is read as it happens, also in a flood, and a cable is listened to.
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileNetwork, parseMachines, parsePolicy, RefusedLog, RefusedSummary } from '@ringwall/netpolicy';
import { existsSync } from 'node:fs';
import { run, runChecked } from '../../exec/index.ts';
import { sniff, Walls } from '../index.ts';
import { ethernet, ipv4Packet, udp } from '../testing/frames.ts';
import { NEEDS_PACKETS, Testbed } from '../testing/testbed.ts';

const NEEDED = ['/usr/bin/tcpdump', '/usr/bin/bwrap'];
const NEEDS =
  NEEDS_PACKETS !== '' || NEEDED.every((file) => existsSync(file)) ? NEEDS_PACKETS : ' (skipped: needs tcpdump, bwrap)';
const MACHINES = [1, 2].map((index) => ({
  name: `m${index}`,
  labels: {},
  addresses: [`10.20.0.${index}`],
  mac: `52:54:00:00:00:0${index}`,
  interface: `t${index}`,
}));

let bed: Testbed | undefined;
beforeAll(async () => {
  if (NEEDS !== '') return;
  const rules = [
    { name: 'web', action: 'allow', from: 'any', to: 'any', services: ['tcp/80'] },
    { name: 'no-telnet', action: 'deny', from: 'any', to: 'any', services: ['tcp/23'] },
    { name: 'no-smtp', action: 'deny', from: 'any', to: 'any', services: ['tcp/25'], log: true },
  ];
  const json = { version: 1, tenant: 'acme', networks: [{ name: 'app', addresses: ['10.20.0.0/24'], rules }] };
  const [network] = parsePolicy(json).networks;
  if (network === undefined) throw new Error('no network');
  const machines = parseMachines(MACHINES, network);
  bed = await Testbed.open(machines);
  await new Walls(bed.inside).raise(compileNetwork(network, machines));
  for (const station of bed.stations) await station.tell('listen', [80], []);
});
afterAll(async () => {
  await bed?.[Symbol.asyncDispose]();
});

function theBed(): Testbed {
  if (bed === undefined) throw new Error('no testbed');
  return bed;
}

async function link(device: string): Promise<{ index: number; mac: string }> {
  const { stdout } = await runChecked(theBed().inside, ['/usr/sbin/ip', '-j', 'link', 'show', 'dev', device]);
  const [found] = JSON.parse(stdout.toString());
  return { index: Number(found.ifindex), mac: String(found.address) };
}

describe.skipIf(NEEDS !== '')(`watching${NEEDS}`, () => {
  test('tells who is refused what, and why, while it happens; a flood of one hides nothing of the other', async () => {
    const { inside, stations } = theBed();
    const [first, second] = stations;
    const [cable, other] = [await link('t1'), await link('t2')];
    const log = await sniff(run, inside, { on: 'refused', seconds: 120, bytes: 1024 * 1024 });
    const [reader, summary] = [new RefusedLog(), new RefusedSummary()];
    log.on('data', (bytes: Uint8Array) => {
      for (const packet of reader.push(bytes)) summary.add(packet);
    });
    const flood = ethernet(
      cable.mac,
      '52:54:00:00:00:01',
      0x0800,
      ipv4Packet('10.20.0.9', '10.20.0.2', 17, udp(5, 9, '')),
    );
    const floodSeconds = Number(await first?.tell('flood', [flood], 5_000));
    const targets = [
      ['tcp', '10.20.0.1', 23],
      ['tcp', '10.20.0.1', 25],
      ['tcp', '10.20.0.1', 22],
      ['icmp', '10.20.0.1', 8],
      ['icmp', '169.254.1.1', 8],
    ];
    await second?.tell('probe', 1, targets, 0.5);
    const rows: unknown[] = [];
    let floodRows = 0;
    await expect
      .poll(() => {
        for (const { packets, ...row } of summary.take().rows) {
          if (row.interfaceIndex === cable.index) floodRows += packets;
          else rows.push(row);
        }
        return rows;
      })
      .toEqual(
        expect.arrayContaining(
          [
            { reason: 'denied', to: '10.20.0.1', service: 'tcp/23' },
            { reason: 'denied', rule: 'no-smtp', to: '10.20.0.1', service: 'tcp/25' },
            { reason: 'refused', to: '10.20.0.1', service: 'tcp/22' },
            { reason: 'refused', to: '10.20.0.1', service: 'icmp/8' },
            { reason: 'to-host', to: '169.254.1.1', service: 'icmp/8' },
          ].map((row) => ({ ...row, interfaceIndex: other.index, from: '10.20.0.2' })),
        ),
      );
    // It is told once, and by its name.
    const named = rows.map((row) => Object(row)).filter(({ service }) => service === 'tcp/25');
    expect(new Set(named.map(({ rule }) => rule))).toEqual(new Set(['no-smtp']));
    await expect(sniff(run, inside, { on: 'refused', seconds: 5, bytes: 1_000 })).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(floodRows).toBeGreaterThan(0);
    expect(floodRows).toBeLessThan(200 + 20 * floodSeconds);
    log.destroy();
  });

  test('listens to a machine’s cable, by a filter, until there is enough', async () => {
    const { inside, stations } = theBed();
    const [first] = stations;
    const bytes = 400;
    const order = { on: { interface: 't1' }, filter: 'icmp or arp', seconds: 120, bytes } as const;
    const capture = await sniff(run, inside, order);
    const got: Uint8Array[] = [];
    capture.on('data', (chunk: Uint8Array) => got.push(chunk));
    const ended = once(capture, 'end');
    for (let round = 10; round < 20; round += 1) {
      await first?.tell('probe', round, [['icmp', '10.20.0.2', 8]], 0.05);
    }
    await ended;
    const all = Buffer.concat(got);
    expect(all).toHaveLength(bytes);
    expect(all.readUInt32LE(0)).toBe(0xa1b2c3d4);
    expect(all.includes(Buffer.from([10, 20, 0, 1, 10, 20, 0, 2]))).toBe(true);
  });

  test('refuses a filter that is none, and an interface that is not there', async () => {
    const { inside } = theBed();
    const order = { on: { interface: 't1' }, seconds: 5, bytes: 1_000 } as const;
    await expect(sniff(run, inside, { ...order, filter: 'prot nonsense' })).rejects.toThrow(
      /syntax error|unknown host/,
    );
    await expect(sniff(run, inside, { ...order, filter: '-z /bin/sh' })).rejects.toThrow('nothing can be captured');
    await expect(sniff(run, inside, { ...order, on: { interface: 't9' } })).rejects.toThrow(/No such device/);
  });
});
