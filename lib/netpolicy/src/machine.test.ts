import { describe, expect, test } from 'vitest';
import { parseFarMachines, parseMachines, parsePolicy, type Network } from './index.ts';

const [network] = parsePolicy({
  version: 1,
  tenant: 'acme',
  networks: [{ name: 'app', addresses: ['10.20.0.0/24', 'fd00:20::/64'], labels: { role: ['web'] }, rules: [] }],
}).networks;
const NEAR = [{ name: 'web1', labels: {}, addresses: ['10.20.0.1'], mac: '52:54:00:00:00:01', interface: 't1' }];
const FAR = {
  name: 'web2',
  labels: { role: 'web' },
  addresses: ['10.20.0.2', 'fd00:20::2'],
  host: 'beta',
  interface: 'wg1',
};

function parse(far: readonly unknown[]): unknown {
  const app: Network | undefined = network;
  if (app === undefined) throw new Error('no network');
  return parseFarMachines(far, app, parseMachines(NEAR, app));
}

describe('parseFarMachines()', () => {
  test('takes machines of other hosts, several behind one tunnel', () => {
    const third = { ...FAR, name: 'web3', addresses: ['10.20.0.3'] };
    expect(parse([FAR, third])).toMatchObject([
      { name: 'web2', host: 'beta' },
      { name: 'web3', interface: 'wg1' },
    ]);
  });

  test.each([
    [
      'an address of a machine here',
      [{ ...FAR, addresses: ['10.20.0.1'] }],
      'address 10.20.0.1 is web1 on this host’s and web2 on beta’s',
    ],
    ['a name of a machine here', [{ ...FAR, name: 'web1' }], 'name web1 is web1 on this host’s and web1 on beta’s'],
    [
      'an address of a machine of a third host',
      [FAR, { ...FAR, name: 'web3', host: 'gamma', interface: 'wg2' }],
      'address 10.20.0.2 is web2 on beta’s and web3 on gamma’s',
    ],
    ['a tunnel that is a cable', [{ ...FAR, interface: 't1' }], 'interface t1 is the cable of web1’s and beta’s'],
    [
      'one tunnel to two hosts',
      [FAR, { ...FAR, name: 'web3', addresses: ['10.20.0.3'], host: 'gamma' }],
      'interface wg1 is beta’s and gamma’s',
    ],
    [
      'an address that is not of the network',
      [{ ...FAR, addresses: ['10.21.0.1'] }],
      '10.21.0.1 is not of network app',
    ],
    ['a label that is not declared', [{ ...FAR, labels: { role: 'db' } }], 'role'],
    ['the interface that leads out', [{ ...FAR, interface: 'uplink' }], 'uplink is the network’s own'],
    ['a card', [{ ...FAR, mac: '52:54:00:00:00:02' }], 'unknown key "mac"'],
    ['no host', [{ ...FAR, host: undefined }], 'machines[0].host: is not a text'],
  ])('refuses %s', (_, far, message) => {
    expect(() => parse(far)).toThrow(message);
  });
});
