// Random policies as files, with everything that a file may say, and the same with one thing changed: for the test that holds
// policy.schema.json against the parser. What the tests of reachability need is smaller (arbitrary.ts).
import * as fc from 'fast-check';
import { exchange } from './exchange.ts';

const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,5}$/);
const labelValue = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,5}$/);
const labels = fc.dictionary(name, labelValue, { maxKeys: 2 });
const range = fc.oneof(
  fc.ipV4(),
  fc.ipV6().filter((text) => !text.includes('.')),
  fc.constantFrom(
    '10.20.0.0/16',
    '0.0.0.0/0',
    '10.0.0.1-10.0.0.9',
    '::/0',
    'fd00::/8',
    'fd00::1-fd00::ff',
    '::',
    '1::',
  ),
);
const service = fc.oneof(
  fc.constantFrom('any', 'ping', 'tcp', 'udp', 'sctp', 'icmp', 'icmpv6', 'gre', 'esp', 'ah'),
  fc.nat(65_535).map((port) => `tcp/${port}`),
  fc.nat(32_767).map((port) => `udp/${port}-${2 * port}`),
  fc.nat(255).map((type) => `icmpv6/${type}`),
  fc.constantFrom('icmp/echo-request', 'icmp/timestamp-request', 'icmpv6/packet-too-big', 'icmp/0-255'),
);
const endpoint = fc.oneof(
  fc.constant('any'),
  fc.record({ labels }),
  fc.record({ addresses: fc.array(range, { minLength: 1, maxLength: 3 }) }),
  fc.record({ machine: name }),
);
const time = (years: readonly [number, number]): fc.Arbitrary<string> =>
  fc
    .date({ min: new Date(Date.UTC(years[0], 0)), max: new Date(Date.UTC(years[1], 0)), noInvalidDate: true })
    .map((date) => date.toISOString().replace(/\.\d+Z$/, 'Z'));
const rule = fc.record(
  {
    name,
    action: fc.constantFrom('allow', 'deny'),
    from: endpoint,
    to: endpoint,
    services: fc.array(service, { minLength: 1, maxLength: 3 }),
    log: fc.boolean(),
    after: time([1970, 2000]),
    before: time([2001, 9000]),
    why: fc.constantFrom('', 'the shop’s data', '😀'.repeat(200)),
  },
  { requiredKeys: ['name', 'action', 'from', 'to', 'services'] },
);
const share = fc.record(
  {
    machine: name,
    labels,
    sendMbit: fc.integer({ min: 1, max: 40_000 }),
    receiveMbit: fc.constantFrom(1, 40_000),
    burstKiB: fc.constantFrom(64, 65_536),
    packetsPerSecond: fc.constantFrom(10, 10_000_000),
    connectionsPerSecond: fc.constantFrom(1, 1_000_000),
    connections: fc.constantFrom(1, 1_000_000),
  },
  { requiredKeys: [] },
);
const ofMode = fc.oneof(
  fc.record(
    { mode: fc.constant('routed'), internet: fc.constantFrom('none', 'nat'), dns: fc.boolean() },
    { requiredKeys: [] },
  ),
  fc.record(
    { mode: fc.constantFrom('bridged', 'openvswitch'), internet: fc.constant('none'), dns: fc.boolean() },
    { requiredKeys: ['mode'] },
  ),
);
const network = fc
  .tuple(
    fc.record(
      {
        rules: fc.uniqueArray(rule, { maxLength: 3, selector: (one) => one.name }),
        shares: fc.array(share, { maxLength: 2 }),
      },
      { requiredKeys: ['rules'] },
    ),
    ofMode,
  )
  .map(([said, mode]) => ({ ...said, ...mode }));

/** The JSON of a policy that is right. */
export const arbitraryPolicyFile: fc.Arbitrary<unknown> = fc
  .record({ tenant: name, networks: fc.array(network, { minLength: 1, maxLength: 2 }) })
  .map(({ tenant, networks }) => ({
    version: 1,
    tenant,
    networks: networks.map((one, index) => ({ name: `n${index}`, addresses: [`10.${index}.0.0/16`], ...one })),
  }));

const character = fc.constantFrom(
  ...Array.from('0159afgz:./-_ \n\u00ad\u0007ZAT٣'),
  '::',
  '255',
  '65536',
  '/33',
  '-10',
);
/** What a hand that slips makes of a value. */
const slip: fc.Arbitrary<(value: unknown) => unknown> = fc.oneof(
  fc.tuple(character, fc.nat(), fc.nat(2)).map(([put, at, taken]) => (value: unknown) => {
    if (typeof value !== 'string') return put;
    const from = at % (value.length + 1);
    return value.slice(0, from) + put + value.slice(from + taken);
  }),
  fc.constantFrom(
    (value: unknown) => (typeof value === 'number' ? value + 1 : [value]),
    (value: unknown) => (typeof value === 'number' ? value - 1 : { labels: value }),
    (value: unknown) => (typeof value === 'number' ? value / 2 : true),
    (value: unknown) => (Array.isArray(value) ? [] : 0),
    (value: unknown) =>
      Array.isArray(value) ? [...value, ...value] : Object(value) === value ? { ...Object(value), extra: 1 } : null,
    () => undefined,
  ),
  fc.jsonValue({ maxDepth: 1 }).map((junk) => () => junk),
);

/** The same with one value changed, which may be right or wrong. */
export const arbitraryPolicySlip: fc.Arbitrary<unknown> = fc
  .tuple(arbitraryPolicyFile, fc.nat(), slip)
  .map(([policy, at, change]) => exchange(policy, at, change));
