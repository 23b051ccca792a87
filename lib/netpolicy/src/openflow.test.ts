import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { arbitraryMachines, arbitraryPolicy, AT } from '../testing/arbitrary.ts';
import { TestSwitch } from '../testing/switch.ts';
import {
  compileSwitched,
  MAX_SWITCH_MACHINES,
  parseMachines,
  parsePolicy,
  ReachModel,
  renderOpenFlow,
} from './index.ts';
import type { Machine, Network } from './index.ts';
import { masksOf } from './openflow-services.ts';
import { cookieParts, printFlow } from './openflow-flow.ts';

const AT_SECONDS: number = Date.parse(AT) / 1000;
const QUESTIONS = [
  { protocol: 6, number: 22 },
  { protocol: 6, number: 5433 },
  { protocol: 17, number: 443 },
  { protocol: 1, number: 8 },
  { protocol: 1, number: 13 },
  { protocol: 58, number: 128 },
  { protocol: 47, number: 0 },
];

function networkOf(policy: unknown): Network {
  const [network] = parsePolicy(policy).networks;
  if (network === undefined) throw new Error('no network');
  return network;
}

function networkWith(rules: readonly unknown[], more: object = {}): Network {
  const network = { name: 'app', mode: 'openvswitch', addresses: ['10.20.0.0/16', 'fd00:20::/64'], rules, ...more };
  return networkOf({ version: 1, tenant: 'acme', networks: [network] });
}

function machinesOf(count: number, network: Network): readonly Machine[] {
  const list = Array.from({ length: count }, (_, index) => ({
    name: `m${index}`,
    labels: { role: index % 2 === 0 ? 'web' : 'db' },
    addresses: [`10.20.${index >> 8}.${index & 255}`, `fd00:20::${(index + 1).toString(16)}`],
    mac: `52:54:00:00:${(index >> 8).toString(16).padStart(2, '0')}:${(index & 255).toString(16).padStart(2, '0')}`,
    interface: `t${index}`,
  }));
  return parseMachines(list, network);
}

/** As they are met. */
function ports(): (device: string) => number {
  const known = new Map<string, number>();
  return (device) => known.get(device) ?? known.set(device, known.size + 1).size;
}

const WEB_TO_DB = {
  name: 'web-to-db',
  action: 'allow',
  from: { labels: { role: 'web' } },
  to: { labels: { role: 'db' } },
  services: ['tcp/5432', 'ping'],
};

describe('renderOpenFlow()', () => {
  test('lets through what the model allows and nothing else, to the port where the address is', () => {
    fc.assert(
      fc.property(arbitraryPolicy, arbitraryMachines, (policy, list) => {
        const network = networkOf(policy);
        const machines = parseMachines(list, network);
        const portOf = ports();
        const rules = renderOpenFlow(compileSwitched(network, machines), { portOf, atSeconds: AT_SECONDS });
        const own = new TestSwitch(rules);
        const model = new ReachModel(network, machines);
        const ends = machines.flatMap((machine) => machine.addresses.map((address) => ({ machine, address })));
        const wrong = ends.flatMap((from) =>
          ends
            .filter((to) => from.machine !== to.machine && from.address.family === to.address.family)
            .flatMap((to) =>
              // Messages of the other family's ICMP mean nothing.
              QUESTIONS.filter(({ protocol }) => protocol !== (from.address.family === 4 ? 58 : 1))
                .map(({ protocol, number }) => {
                  const question = { from: from.address, to: to.address, protocol, number, atSeconds: AT_SECONDS };
                  const allowed = model.decide(question).allowed ? portOf(to.machine.interface) : undefined;
                  const port = own.pass({
                    port: portOf(from.machine.interface),
                    source: { mac: from.machine.mac, address: from.address.text },
                    target: { mac: to.machine.mac, address: to.address.text },
                    protocol,
                    number,
                  });
                  return { ...question, allowed, port };
                })
                .filter(({ allowed, port }) => allowed !== port),
            ),
        );
        expect(wrong).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });

  test('believes nobody who sends by another port, with another card or address, or to a card that has not the address', () => {
    const network = networkWith([{ name: 'all', action: 'allow', from: 'any', to: 'any', services: ['any'] }]);
    const [web, db] = machinesOf(2, network);
    if (web === undefined || db === undefined) throw new Error('no machines');
    const portOf = ports();
    const rules = renderOpenFlow(compileSwitched(network, [web, db]), { portOf, atSeconds: AT_SECONDS });
    const honest = {
      port: portOf('t0'),
      source: { mac: web.mac, address: '10.20.0.0' },
      target: { mac: db.mac, address: '10.20.0.1' },
      protocol: 6,
      number: 80,
    };
    const own = new TestSwitch(rules);
    expect(own.pass(honest)).toBe(portOf('t1'));
    for (const lie of [
      { port: portOf('t1') },
      { port: 77 },
      { source: { ...honest.source, mac: db.mac } },
      { source: { ...honest.source, address: '10.20.0.1' } },
      { target: { ...honest.target, mac: 'ff:ff:ff:ff:ff:ff' } },
      { target: { ...honest.target, address: '10.20.0.2' } },
    ]) {
      expect(own.pass({ ...honest, ...lie }), JSON.stringify(lie)).toBeUndefined();
    }
  });

  test('is this for two machines and one rule', () => {
    const network = networkWith([WEB_TO_DB], { shares: [{ machine: 'm1', packetsPerSecond: 50 }] });
    const rules = renderOpenFlow(compileSwitched(network, machinesOf(2, network)), { portOf: ports(), atSeconds: 0 });
    expect(
      [...rules.flows.values(), ...rules.meters.map((meter) => JSON.stringify(meter))].join('\n'),
    ).toMatchSnapshot();
  });

  test('takes as many flows for each machine more, however many there are', () => {
    const network = networkWith([WEB_TO_DB]);
    const count = (machines: number): number =>
      renderOpenFlow(compileSwitched(network, machinesOf(machines, network)), { portOf: ports(), atSeconds: 0 }).flows
        .size;
    const each = (count(20) - count(10)) / 10;
    expect(each).toBe(20);
    expect(count(1_000) - count(10)).toBe(990 * each);
  });

  test('says until when it holds, and what holds after that', () => {
    const [after, before] = ['2027-01-01T00:00:00Z', '2027-01-02T00:00:00Z'];
    const network = networkWith([{ ...WEB_TO_DB, after, before }]);
    const [first, last] = [after, before].map((time) => Date.parse(time) / 1_000);
    if (first === undefined || last === undefined) throw new Error('no times');
    const at = (atSeconds: number): { until: number | undefined; allows: boolean } => {
      const rules = renderOpenFlow(compileSwitched(network, machinesOf(2, network)), { portOf: ports(), atSeconds });
      return { until: rules.until, allows: [...rules.flows.values()].some((flow) => flow.includes('ct(commit')) };
    };
    expect(at(first - 1)).toEqual({ until: first, allows: false });
    expect(at(first)).toEqual({ until: last, allows: true });
    expect(at(last)).toEqual({ until: undefined, allows: false });
  });

  test('names by its cookie why a flow drops', () => {
    const deny = { ...WEB_TO_DB, name: 'no', action: 'deny', log: true };
    const network = networkWith([deny]);
    const rules = renderOpenFlow(compileSwitched(network, machinesOf(2, network)), { portOf: ports(), atSeconds: 0 });
    const reasons = Array.from(rules.flows.values(), (flow) => /cookie=(0x[0-9a-f]+)/.exec(flow)?.[1]).map(
      (cookie) => cookieParts(BigInt(cookie ?? 0)).reason,
    );
    expect(new Set(reasons)).toEqual(new Set(['denied', 'refused', 'spoofed', 'rogue', 'invalid', undefined]));
  });
});

test('compileSwitched() refuses more machines than a switch shall have', () => {
  const network = networkWith([]);
  expect(() => compileSwitched(network, machinesOf(MAX_SWITCH_MACHINES + 1, network))).toThrow(/more than the 1024/);
});

test('printFlow() refuses a word that would be more than one', () => {
  const flow = { table: 'guard', priority: 1, match: ['in_port=1 actions=normal'], actions: [], cookie: 0n } as const;
  expect(() => printFlow(flow)).toThrow(/no word/);
});

test('masksOf() covers a range of ports, each port once, and no other', () => {
  const port = fc.integer({ min: 0, max: 65_535 });
  fc.assert(
    fc.property(port, port, port, (a, b, probe) => {
      const [first, last] = [Math.min(a, b), Math.max(a, b)];
      const covering = masksOf({ first, last }).filter(([word]) => {
        const [want = 0, mask = 0] = word === undefined ? [0, 0] : word.slice('tp_dst='.length).split('/').map(Number);
        return (probe & mask) === want;
      });
      expect(covering).toHaveLength(first <= probe && probe <= last ? 1 : 0);
    }),
  );
});
