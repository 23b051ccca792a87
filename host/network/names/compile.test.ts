import { parseAddress, parseMachines, parsePolicy, type Network } from '@ringwall/netpolicy';
import { expect, test } from 'vitest';
import { compileNames, type NamesFiles } from './compile.ts';

function filesOf(
  addresses: readonly string[],
  machines: readonly unknown[] = [],
  mode: Network['mode'] = 'routed',
): NamesFiles {
  const [network] = parsePolicy({
    version: 1,
    tenant: 'acme',
    networks: [{ name: 'app', mode, addresses, rules: [] }],
  }).networks;
  if (network === undefined) throw new Error('no network');
  return compileNames({
    network,
    machines: parseMachines(machines, network),
    resolvers: [parseAddress('192.0.2.53', '')],
  });
}

const rangesOf = (files: NamesFiles): string[] =>
  files.config.split('\n').filter((line) => /^(?:dhcp-range|shared-network)=/.test(line));

test('compileNames() says all of it in three lists and one configuration', () => {
  const machine = { labels: {}, mac: '02:54:00:00:00:01', interface: 't1' };
  const files = filesOf(
    ['10.20.0.0/16', 'fd00:20::/56'],
    [{ ...machine, name: 'web', addresses: ['10.20.0.9', 'fd00:20:0:7::9'] }],
  );
  expect(files.leases).toBe('02:54:00:00:00:01,tag:t1,10.20.0.9,[fd00:20:0:7::9],web,1h\n');
  expect(files.names).toBe(
    '10.20.0.9 web.app.internal web\nfd00:20:0:7::9 web.app.internal web\n169.254.1.1 gateway.app.internal\n',
  );
  expect(files.resolvers).toBe('server=192.0.2.53\n');
  expect(files.config).toMatchSnapshot();
});

test('compileNames() serves IPv6 on each link where a machine is, and IPv4 by the prefixes that have the ranges', () => {
  expect(rangesOf(filesOf(['10.20.0.9-10.20.0.200', '192.168.7.7', 'fd00:20::5:0/112']))).toEqual([
    'dhcp-range=10.20.0.0,static,255.255.255.0,1h',
    'shared-network=169.254.1.1,10.20.0.0',
    'dhcp-range=192.168.7.7,static,255.255.255.255,1h',
    'shared-network=169.254.1.1,192.168.7.7',
    'dhcp-range=fd00:20::,static,off-link,64,1h',
  ]);
});

test('compileNames() has the network on the link where that is so, and knows a machine by its gateway there', () => {
  const machine = { labels: {}, mac: '02:54:00:00:00:01', interface: 'm1', name: 'web', addresses: ['10.20.0.9'] };
  for (const mode of ['bridged', 'openvswitch'] as const) {
    const { leases, config } = filesOf(['10.20.0.0/16', 'fd00:20::/64'], [machine], mode);
    expect(leases).toBe('02:54:00:00:00:01,tag:g1,10.20.0.9,web,1h\n');
    const said = config
      .split('\n')
      .filter((line) => /^(?:dhcp-range|ra-param|dhcp-option=option:(?:net|rou|cla))/.test(line));
    expect(said).toEqual([
      'dhcp-option=option:router',
      'dhcp-option=option:classless-static-route,169.254.1.1/32,0.0.0.0',
      'ra-param=*,low,0',
      'dhcp-range=10.20.0.0,static,255.255.0.0,1h',
      'dhcp-range=fd00:20::,static,64,1h',
    ]);
  }
});
