// Random policies and machines for the tests: small enough that rules meet, with every kind of end, service and time.
import * as fc from 'fast-check';

/** All tests ask at this time; rules with times lie around it. */
export const AT = '2030-01-01T00:00:00Z';
const TIMES = ['2029-01-01T00:00:00Z', '2031-01-01T00:00:00Z', '2032-01-01T00:00:00Z'];

const labels = fc.dictionary(fc.constantFrom('role', 'env'), fc.constantFrom('a', 'b', 'c'), { maxKeys: 2 });
const ranges = fc.uniqueArray(
  fc.constantFrom(
    '10.20.0.0/30',
    '10.20.0.2-10.20.0.5',
    '10.20.0.4',
    'fd00:20::/126',
    'fd00:20::3-fd00:20::6',
    '198.51.100.0/24',
    '10.77.0.0/16',
    '192.168.0.0/15',
    '0.0.0.0-10.19.255.255',
    'fd77::/64',
    'f000::-fe00::',
  ),
  { minLength: 1, maxLength: 3 },
);
const end = fc.oneof(
  fc.constant('any' as const),
  labels.map((chosen) => ({ labels: chosen })),
  labels.map((chosen) => ({ labels: chosen })),
  ranges.map((addresses) => ({ addresses })),
  fc.nat(7).map((index) => ({ machine: `m${index}` })),
);
const services = fc.uniqueArray(
  fc.constantFrom(
    'any',
    'tcp',
    'udp',
    'ping',
    'icmp',
    'icmpv6',
    'gre',
    'tcp/22',
    'tcp/80',
    'tcp/80-443',
    'tcp/1-5432',
    'udp/443',
    'udp/80-5432',
    'icmp/echo-request',
    'icmpv6/echo-request',
  ),
  { minLength: 1, maxLength: 3 },
);
const times = fc.constantFrom<{ after?: string; before?: string }[]>(
  {},
  {},
  {},
  { after: TIMES[0] ?? '' },
  { after: TIMES[1] ?? '' },
  { before: TIMES[0] ?? '' },
  { before: TIMES[1] ?? '' },
  { after: TIMES[1] ?? '', before: TIMES[2] ?? '' },
);

const rules = fc
  .array(
    fc.record({
      action: fc.constantFrom('allow', 'allow', 'deny'),
      from: end,
      to: end,
      services,
      log: fc.boolean(),
      times,
    }),
    {
      maxLength: 8,
    },
  )
  .map((found) => found.map(({ times: when, ...rule }, index) => ({ ...rule, ...when, name: `r${index}` })));

/** The JSON of a policy with one network, `app`. */
export const arbitraryPolicy: fc.Arbitrary<unknown> = fc
  .record({ rules, internet: fc.constantFrom('none', 'nat') })
  .map((network) => ({
    version: 1,
    tenant: 'acme',
    networks: [{ name: 'app', addresses: ['10.20.0.0/24', 'fd00:20::/64'], ...network }],
  }));

/** The JSON of up to eight machines, some with one address only. */
export const arbitraryMachines: fc.Arbitrary<unknown[]> = fc
  .array(fc.record({ labels, families: fc.constantFrom([4, 6], [4, 6], [4], [6]) }), { minLength: 2, maxLength: 8 })
  .map((found) =>
    found.map((machine, index) => ({
      name: `m${index}`,
      labels: machine.labels,
      addresses: machine.families.map((family) => (family === 4 ? `10.20.0.${index + 1}` : `fd00:20::${index + 1}`)),
      mac: `52:54:00:00:00:0${index}`,
      interface: `t${index}`,
    })),
  );
