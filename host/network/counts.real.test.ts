// What is counted, against what was sent: connections, refusals and frames of real stations, by machine, reason and rule.
import { describe, expect, test } from 'vitest';
import { compileNetwork, parseMachines, parsePolicy } from '@ringwall/netpolicy';
import { readSiteCounts, Walls } from './index.ts';
import { ethernet, ipv4Packet, udp } from './testing/frames.ts';
import { NEEDS_PACKETS, Testbed } from './testing/testbed.ts';

const MACHINES = [1, 2].map((index) => ({
  name: `m${index}`,
  labels: {},
  addresses: [`10.20.0.${index}`],
  mac: `52:54:00:00:00:0${index}`,
  interface: `t${index}`,
}));
const RULES = [
  { name: 'web', action: 'allow', from: 'any', to: 'any', services: ['tcp/80'] },
  { name: 'chat', action: 'allow', from: 'any', to: 'any', services: ['tcp/81'], log: true },
  { name: 'no-telnet', action: 'deny', from: 'any', to: 'any', services: ['tcp/23'] },
  { name: 'unused', action: 'allow', from: 'any', to: 'any', services: ['tcp/7'] },
];
const SPOOFED = 3;

describe.skipIf(NEEDS_PACKETS !== '')(`counts${NEEDS_PACKETS}`, () => {
  test('are of what each machine has sent, and of the rules that have decided about it', async () => {
    const json = { version: 1, tenant: 'acme', networks: [{ name: 'app', addresses: ['10.20.0.0/24'], rules: RULES }] };
    const [network] = parsePolicy(json).networks;
    if (network === undefined) throw new Error('no network');
    const machines = parseMachines(MACHINES, network);
    await using bed = await Testbed.open(machines);
    const walls = new Walls(bed.inside);
    await walls.raise(compileNetwork(network, machines));
    const [first, second] = bed.stations;
    for (const station of bed.stations) await station.tell('listen', [80, 81], []);
    const before = await readSiteCounts(bed.inside, walls);
    expect(before.decisions.map(({ connections }) => connections)).toEqual(RULES.map(() => 0));
    await first?.tell(
      'probe',
      1,
      [
        ['tcp', '10.20.0.2', 80],
        ['tcp', '10.20.0.2', 81],
        ['tcp', '10.20.0.2', 23],
        ['icmp', '10.20.0.2', 8],
      ],
      0.5,
      [0, 1],
    );
    await second?.tell('probe', 2, [['tcp', '10.20.0.1', 80]], 0, [0]);
    const lie = ethernet(
      'ff:ff:ff:ff:ff:ff',
      '52:54:00:00:00:02',
      0x0800,
      ipv4Packet('10.20.0.9', '10.20.0.1', 17, udp(5, 9, '')),
    );
    await second?.tell('flood', [lie], SPOOFED);

    const counts = await readSiteCounts(bed.inside, walls);
    const byRule = Object.fromEntries(counts.decisions.map(({ rules, connections }) => [rules[0]?.name, connections]));
    // A station that hears nothing says the first words of TCP again.
    expect(byRule).toMatchObject({ web: 2, chat: 1, unused: 0 });
    expect(byRule['no-telnet']).toBeGreaterThanOrEqual(1);
    const of = (device: string) => counts.refusedFrom.get(device);
    expect(of('t1')?.get('denied')?.packets).toBe(byRule['no-telnet']);
    expect(of('t1')?.get('refused')?.packets).toBeGreaterThanOrEqual(1);
    // A station's kernel says things of its own, before it is known.
    const lies = (all: typeof counts): number => all.refusedFrom.get('t2')?.get('spoofed')?.packets ?? 0;
    expect(lies(counts) - lies(before)).toBeGreaterThanOrEqual(SPOOFED);
    expect(of('t2')?.get('denied')).toBeUndefined();
    expect(counts.refused.get('denied')).toEqual(of('t1')?.get('denied'));
    const sentBy = (device: string, all: typeof counts): number => all.cables.get(device)?.sent.packets ?? 0;
    expect(sentBy('t1', counts)).toBeGreaterThan(sentBy('t1', before));
    expect(sentBy('t2', counts) - sentBy('t2', before)).toBeGreaterThanOrEqual(SPOOFED);
    expect(counts.cables.get('t2')?.received.bytes).toBeGreaterThan(before.cables.get('t2')?.received.bytes ?? 0);
    expect(counts.connections?.known).toBeGreaterThanOrEqual(3);
    expect(counts.connections?.limit).toBeGreaterThan(counts.connections?.known ?? 0);
  });
});
