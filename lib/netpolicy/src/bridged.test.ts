import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { arbitraryMachines, arbitraryPolicy, AT } from '../testing/arbitrary.ts';
import { judgePacket, type Packet } from '../testing/interpreter.ts';
import {
  compileBridged,
  MAX_SEGMENT_MACHINES,
  parseAddress,
  parseMachines,
  parsePolicy,
  ReachModel,
  type Machine,
  type Network,
} from './index.ts';

const AT_SECONDS: number = Date.parse(AT) / 1000;
const EPHEMERAL = 40_000;
/** RFC 792, RFC 4443: what answers what. */
const QUESTION_OF: Readonly<Record<string, number>> = { '1 0': 8, '1 14': 13, '58 129': 128 };
const PACKETS = [
  { protocol: 6, number: 22, sourcePort: EPHEMERAL, flags: 'syn' },
  { protocol: 6, number: 80, sourcePort: 443, flags: 'syn' },
  { protocol: 6, number: EPHEMERAL, sourcePort: 80, flags: 'ack' },
  { protocol: 6, number: 443, sourcePort: EPHEMERAL, flags: 'ack' },
  { protocol: 17, number: 443, sourcePort: EPHEMERAL },
  { protocol: 17, number: EPHEMERAL, sourcePort: 443 },
  { protocol: 1, number: 8 },
  { protocol: 1, number: 0 },
  { protocol: 1, number: 14 },
  { protocol: 58, number: 128 },
  { protocol: 58, number: 129 },
  { protocol: 47, number: 0 },
] as const;

function networkOf(policy: unknown): Network {
  const [network] = parsePolicy(policy).networks;
  if (network === undefined) throw new Error('no network');
  return network;
}

/** What a bridge lets through, from the model: what may begin; what could answer it, unless it begins a connection itself. */
function passes(model: ReachModel, { from, to, protocol, number, sourcePort, flags }: Packet): boolean {
  const may = (sender: string, receiver: string, asked: number): boolean => {
    const [ends, flow] = [
      { from: parseAddress(sender, ''), to: parseAddress(receiver, '') },
      { protocol, number: asked, atSeconds: AT_SECONDS },
    ];
    return model.decide({ ...ends, ...flow }).allowed;
  };
  if (may(from, to, number)) return true;
  if (flags === 'syn') return false;
  const asked = protocol === 1 || protocol === 58 ? QUESTION_OF[`${protocol} ${number}`] : (sourcePort ?? 0);
  return asked !== undefined && may(to, from, asked);
}

function* journeys(
  machines: readonly Machine[],
): Iterable<{ sender: Machine; receiver: Machine; from: string; to: string }> {
  for (const sender of machines) {
    for (const receiver of machines) {
      for (const { family, text } of sender.addresses) {
        const to = receiver.addresses.find((own) => own.family === family);
        if (sender !== receiver && to !== undefined) yield { sender, receiver, from: text, to: to.text };
      }
    }
  }
}

describe('compileBridged()', () => {
  test('lets through what the model allows to begin and what could be its answer, and nothing else', () => {
    let passed = 0;
    fc.assert(
      fc.property(arbitraryPolicy, arbitraryMachines, (policy, list) => {
        const network = networkOf(policy);
        const machines = parseMachines(list, network);
        const { ruleset } = compileBridged(network, machines);
        const model = new ReachModel(network, machines);
        for (const { sender, receiver, from, to } of journeys(machines)) {
          for (const question of PACKETS) {
            if (question.protocol === (from.includes(':') ? 1 : 58)) continue;
            const ends = { from, to, iifname: sender.interface, oifname: receiver.interface, mac: sender.mac };
            const packet = { ...question, ...ends, atSeconds: AT_SECONDS };
            const { accepted } = judgePacket(ruleset, packet);
            expect({ ...packet, accepted }).toEqual({ ...packet, accepted: passes(model, packet) });
            passed += Number(accepted);
          }
        }
      }),
      { numRuns: 100 },
    );
    expect(passed).toBeGreaterThan(1_000);
  });

  const OPEN = networkOf({
    version: 1,
    tenant: 'acme',
    networks: [
      {
        name: 'app',
        addresses: ['10.20.0.0/16'],
        rules: [{ name: 'all', action: 'allow', from: 'any', to: 'any', services: ['any'] }],
      },
    ],
  });
  const machineJson = (index: number): object => ({
    name: `m${index}`,
    labels: {},
    addresses: [`10.20.${index >> 8}.${index & 255}`],
    mac: `52:54:00:00:${(index >> 8).toString(16).padStart(2, '0')}:${(index & 255).toString(16).padStart(2, '0')}`,
    interface: `t${index}`,
  });

  test.each([
    ['another card’s address', { mac: '52:54:00:00:00:02' }],
    ['another machine’s address', { from: '10.20.0.3' }],
    ['another cable', { iifname: 't3' }],
    ['a frame for another machine than the packet in it', { oifname: 't3' }],
  ])('lets nothing through with %s, whatever the rules say', (_, change) => {
    const machines = parseMachines([1, 2, 3].map(machineJson), OPEN);
    const { ruleset } = compileBridged(OPEN, machines);
    const honest: Packet = {
      ...{ iifname: 't1', oifname: 't2', mac: '52:54:00:00:00:01', from: '10.20.0.1', to: '10.20.0.2' },
      ...{ protocol: 6, number: 80, sourcePort: EPHEMERAL, atSeconds: AT_SECONDS },
    };
    expect(judgePacket(ruleset, honest).accepted).toBe(true);
    expect(judgePacket(ruleset, { ...honest, ...change })).toMatchObject({ accepted: false, counted: ['spoofed'] });
  });

  test('keeps those apart whom no rule connects with anybody', () => {
    const rule = { name: 'one', action: 'allow', from: { machine: 'm1' }, to: { machine: 'm2' }, services: ['tcp/80'] };
    const networks = [{ name: 'app', addresses: ['10.20.0.0/16'], rules: [rule] }];
    const network = networkOf({ version: 1, tenant: 'acme', networks });
    const machines = parseMachines([1, 2, 3, 4].map(machineJson), network);
    expect(compileBridged(network, machines).isolated.map(({ name }) => name)).toEqual(['m3', 'm4']);
    expect(compileBridged(OPEN, machines).isolated).toEqual([]);
    // Its two addresses are not each other's neighbours.
    const alone = { ...Object(machineJson(1)), addresses: ['10.20.0.1', 'fd00:20::1'] };
    const both = networkOf({
      version: 1,
      tenant: 'acme',
      networks: [
        {
          name: 'app',
          addresses: ['10.20.0.0/16', 'fd00:20::/64'],
          rules: [{ ...rule, from: { labels: {} }, to: { labels: {} } }],
        },
      ],
    });
    expect(compileBridged(both, parseMachines([alone], both)).isolated.map(({ name }) => name)).toEqual(['m1']);
  });

  test('says that a bridge has only so many ports', () => {
    const many = Array.from({ length: MAX_SEGMENT_MACHINES + 1 }, (_, index) => machineJson(index + 1));
    expect(() => compileBridged(OPEN, parseMachines(many, OPEN))).toThrow(
      'machines: are more than the 1023 ports of a bridge',
    );
  });
});
