import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { arbitraryMachines, arbitraryPolicy } from '../testing/arbitrary.ts';
import { parseMachines } from './machine.ts';
import { mapNetwork } from './map.ts';
import { type Network, parsePolicy } from './policy.ts';
import { printServices } from './print-services.ts';
import { ReachModel } from './reach.ts';
import { parseService } from './service.ts';

const NOW = { atSeconds: 1_900_000_000 };

function network(rules: readonly object[], more: object = {}): Network {
  const json = { version: 1, tenant: 'acme', networks: [{ name: 'app', addresses: ['10.20.0.0/16'], rules, ...more }] };
  const [found] = parsePolicy(json).networks;
  if (found === undefined) throw new Error('no network');
  return found;
}

const machine = (name: string, at: number, labels: object): object => ({
  ...{ name, labels, addresses: [`10.20.0.${at}`], mac: `02:00:00:00:00:0${at}`, interface: `m${at}` },
});

describe('mapNetwork()', () => {
  test('draws kinds of machines, what is open between them, and by which rules', () => {
    const app = network(
      [
        {
          name: 'db',
          action: 'allow',
          from: { labels: { role: 'web' } },
          to: { labels: { role: 'db' } },
          services: ['any'],
        },
        { name: 'no', action: 'deny', from: { machine: 'web2' }, to: 'any', services: ['tcp/22'] },
        {
          name: 'out',
          action: 'allow',
          from: { labels: { role: 'web' } },
          to: { addresses: ['198.51.100.0/24'] },
          services: ['ping'],
        },
      ],
      { internet: 'nat' },
    );
    const machines = parseMachines(
      [machine('web1', 2, { role: 'web' }), machine('web2', 3, { role: 'web' }), machine('db', 4, { role: 'db' })],
      app,
    );
    expect(mapNetwork(app, machines, NOW)).toEqual({
      nodes: [
        { name: 'role=web', machines: ['web1'], outside: false },
        { name: 'web2', machines: ['web2'], outside: false },
        { name: 'role=db', machines: ['db'], outside: false },
        { name: 'outside, 198.51.100.0/24 …', machines: [], outside: true },
      ],
      edges: [
        { from: 0, to: 2, services: ['any'], rules: ['db'] },
        { from: 0, to: 3, services: ['ping'], rules: ['out'] },
        { from: 1, to: 2, services: ['any but tcp/22'], rules: ['db'] },
        { from: 1, to: 3, services: ['ping'], rules: ['out'] },
      ],
    });
  });

  test('has an edge wherever the model lets something through', () => {
    const flows = ['tcp/80', 'tcp/443', 'udp/53', 'icmp/8', 'gre'].flatMap((text) => parseService(text, ''));
    const missing: string[] = [];
    fc.assert(
      fc.property(
        arbitraryPolicy.chain((policy) => fc.tuple(fc.constant(policy), arbitraryMachines)),
        ([policy, list]) => {
          const [app] = parsePolicy(policy).networks;
          if (app === undefined) return;
          const machines = parseMachines(list, app);
          const { nodes, edges } = mapNetwork(app, machines, NOW);
          const model = new ReachModel(app, machines);
          for (const [from, to] of machines.flatMap((one) => machines.map((other) => [one, other] as const))) {
            const open = flows.some(({ protocol, first: number }) =>
              from.addresses.some((source) =>
                to.addresses.some(
                  (target) =>
                    target.family === source.family &&
                    model.decide({ from: source, to: target, protocol, number, ...NOW }).allowed,
                ),
              ),
            );
            const places = ({ name }: { name: string }): number[] =>
              nodes.flatMap(({ machines: own }, index) => (own.includes(name) ? [index] : []));
            const drawn = edges.some((edge) => places(from).includes(edge.from) && places(to).includes(edge.to));
            if (open && !drawn) missing.push(`${from.name} ${to.name}`);
          }
        },
      ),
      { numRuns: 100 },
    );
    expect(missing).toEqual([]);
  });
});

describe('printServices()', () => {
  test.each([
    [['any'], ['any']],
    [
      ['tcp', 'udp/53'],
      ['tcp', 'udp/53'],
    ],
    [
      ['ping', 'tcp/80-81'],
      ['ping', 'tcp/80-81'],
    ],
    [
      Array.from({ length: 12 }, (_, at) => `tcp/${at * 2}`),
      [...Array.from({ length: 8 }, (_, at) => `tcp/${at * 2}`), 'and 4 more'],
    ],
  ])('prints %j as %j', (services, printed) => {
    expect(printServices(services.flatMap((text) => parseService(text, '')))).toEqual(printed);
  });
});
