// policy.schema.json, as a validator that others wrote reads it (JSON Schema 2020-12), says of a policy what parsePolicy() says: what it
// refuses is refused, what is taken it takes. What a schema cannot say is listed here, and nothing else is.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { arbitraryPolicy } from '../testing/arbitrary.ts';
import { arbitraryPolicyFile, arbitraryPolicySlip } from '../testing/arbitrary-policy-file.ts';
import { NetPolicyError } from './netpolicy-error.ts';
import { parsePolicy } from './policy.ts';

const PYTHON = '/usr/bin/python3';
const LIBRARY = '/usr/lib/python3/dist-packages/jsonschema';
const lacks = [PYTHON, LIBRARY].every((path) => existsSync(path)) ? '' : ' (skipped: needs python3-jsonschema)';
const SCHEMA = join(import.meta.dirname, '../policy.schema.json');
const DOCUMENT = join(import.meta.dirname, '../../../docs/networks.md');
const MAX_ANSWER_BYTES = 1024 * 1024;
/** Answers `1` or `0` for each line that is a policy. */
const VALIDATE = `
import json, sys
from jsonschema import Draft202012Validator
schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
print(''.join('1' if validator.is_valid(json.loads(line)) else '0' for line in sys.stdin.buffer))`;

/** Why the parser may refuse what the schema takes: no schema can say it. */
const BEYOND_A_SCHEMA: Readonly<Record<string, (error: NetPolicyError, json: string) => boolean>> = {
  'names and ranges that are there twice': ({ code }) => code === 'overlap',
  'a label that this network does not declare': ({ code }) => code === 'unknown-label',
  'an end that comes before the beginning': ({ message }) => message.endsWith('ends before it begins'),
  'a range that is no whole prefix': ({ message }) => message.endsWith('has host bits set'),
  'a network where none can be': ({ message }) => /reaches into|is larger than/.test(message),
  'days that a month does not have': ({ code }, json) =>
    code === 'time-invalid' && /\d{4}-(?:02-(?:29|30|31)|(?:04|06|09|11)-31)T/.test(json),
  'characters that are not seen (Cf): patterns of JSON Schema have no classes of Unicode': ({ message }, json) =>
    message.includes('is no plain sentence') && /\p{Cf}/u.test(json),
  'a line’s end behind a text: before it, `$` matches in Python, and not in ECMA-262, where patterns are from': (
    _,
    json,
  ) => json.includes(String.raw`\n"`),
};

const RULE = { name: 'r', action: 'allow', from: 'any', to: 'any', services: ['any'] };
const NETWORK = { name: 'app', addresses: ['10.20.0.0/16'], rules: [RULE] };
const many = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));
const keyed = (count: number, value: unknown): object => Object.fromEntries(many(count, (at) => [`k${at}`, value]));
const whole = (networks: unknown): unknown => ({ version: 1, tenant: 'acme', networks });
const withNetwork = (network: object): unknown => whole([{ ...NETWORK, ...network }]);
const withRule = (rule: object): unknown => withNetwork({ rules: [{ ...RULE, ...rule }] });
const withShare = (share: unknown): unknown => withNetwork({ shares: [share] });

/** Both sides of each limit, and texts that are nearly right. */
const EDGES: readonly unknown[] = [
  ...[64, 65].map((count) =>
    whole(many(count, (at) => ({ ...NETWORK, name: `n${at}`, addresses: [`10.${at}.0.0/16`] }))),
  ),
  ...[48, 49].flatMap((length) => [
    { version: 1, tenant: 'a'.repeat(length), networks: [] },
    withRule({ to: { machine: 'a'.repeat(length) } }),
  ]),
  ...[5_000, 5_001].map((count) => withNetwork({ rules: many(count, (at) => ({ ...RULE, name: `r${at}` })) })),
  ...[16, 17].flatMap((count) => [
    withNetwork({ addresses: many(count, (at) => `10.20.${at}.0/24`) }),
    withNetwork({ labels: keyed(count, []), rules: [] }),
    withRule({ from: { labels: keyed(count, 'x') } }),
    withShare({ labels: keyed(count, 'x') }),
  ]),
  ...[0, 1, 64, 65].flatMap((count) => [
    withRule({ services: many(count, () => 'tcp/1') }),
    withNetwork({ shares: many(count, () => ({})) }),
  ]),
  ...[0, 1, 256, 257].map((count) => withRule({ from: { addresses: many(count, () => '10.0.0.1') } })),
  ...[1_024, 1_025].map((count) => withNetwork({ labels: { role: many(count, (at) => `v${at}`) } })),
  ...[63, 64].map((length) => withRule({ to: { labels: { role: 'v'.repeat(length) } } })),
  ...[200, 201].flatMap((length) => ['x', '😀'].map((one) => withRule({ why: one.repeat(length) }))),
  ...['\u0000', '\u001f', '\u007f', '\u009f', '\u00a0', '\u200b', '\u{e0001}'].map((why) => withRule({ why })),
  ...['routed', 'bridged', 'openvswitch', 'switched'].flatMap((mode) =>
    [{}, { internet: 'none' }, { internet: 'nat' }, { dns: true }, { dns: false }].map((said) =>
      withNetwork({ mode, ...said }),
    ),
  ),
  ...[
    '10.20.0.256/32',
    '10.20.0.01',
    '10.20.0.4/33',
    '10.20.0.4/032',
    '10.20.0',
    '1.2.3.4-',
    '-1.2.3.4',
    '1.2.3.4-1.2.3.5/32',
  ],
  ...[
    '1.2.3.4-fd00::1',
    'fd00::/129',
    'fd00::/064',
    '::ffff:1.2.3.4',
    '1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7::',
    '::2:3:4:5:6:7:8',
  ],
  ...[
    '1:2:3:4:5:6:7:8::',
    '::1:2:3:4:5:6:7:8',
    '1::2::3',
    ':::',
    ':1',
    '1:',
    '12345::',
    'fd00::1-',
    '1:2::4:5:6:7:8',
    'FD00::A',
  ],
].map((text) => (typeof text === 'string' ? withRule({ from: { addresses: [text] } }) : text));

/** One for each reason that a schema cannot know. */
const BEYOND: readonly unknown[] = [
  withNetwork({ rules: [RULE, RULE] }),
  withNetwork({ labels: { role: ['db'] }, rules: [{ ...RULE, to: { labels: { role: 'dbb' } } }] }),
  withRule({ after: '2030-01-02T00:00:00Z', before: '2030-01-01T00:00:00Z' }),
  withRule({ from: { addresses: ['10.0.0.9-10.0.0.1'] } }),
  withNetwork({ addresses: ['10.20.0.1/16'] }),
  withNetwork({ addresses: ['169.254.169.0/24'] }),
  withNetwork({ addresses: ['32.0.0.0/7'] }),
  withRule({ after: '2030-02-30T00:00:00Z' }),
  withRule({ why: 'left \u202e right' }),
  withRule({ name: 'r\n' }),
];

const SERVICES = [
  'tcp/65535',
  'tcp/65536',
  'tcp/007',
  'tcp/0',
  'tcp/',
  'tcp/1-',
  'tcp/5-1',
  'tcp/1-2-3',
  'TCP/1',
  'tcp/1/2',
  'gre/1',
  'any/1',
];
const TYPES = [
  'icmp/255',
  'icmp/256',
  'icmp/echo-request',
  'icmpv6/timestamp-request',
  'icmp/8-echo-reply',
  'icmp/echo-reply-8',
  'tcp/ssh',
  '',
];
const TIMES = [
  '1969-12-31T23:59:59Z',
  '1970-01-01T00:00:00Z',
  '2030-13-01T00:00:00Z',
  '2030-02-30T00:00:00Z',
  '2030-02-03T24:00:00Z',
];
const OTHER_TIMES = [
  '2030-02-03T23:59:60Z',
  '2030-02-03T00:00:00+00:00',
  '2030-02-03',
  '9999-12-31T23:59:59Z',
  '२०३०-01-01T00:00:00Z',
];
const AMOUNTS = {
  sendMbit: [1, 40_000],
  receiveMbit: [1, 40_000],
  burstKiB: [64, 65_536],
  packetsPerSecond: [10, 10_000_000],
  connectionsPerSecond: [1, 1_000_000],
  connections: [1, 1_000_000],
};
/** Each name of a type, asked of both protocols. */
const NAMED_TYPES = [
  'echo-reply',
  'destination-unreachable',
  'packet-too-big',
  'echo-request',
  'time-exceeded',
  'timestamp-request',
].flatMap((type) => [`icmp/${type}`, `icmpv6/${type}`]);
const TEXTS: readonly unknown[] = [
  ...[
    'any',
    'ping',
    'tcp',
    'udp',
    'sctp',
    'icmp',
    'icmpv6',
    'gre',
    'esp',
    'ah',
    ...SERVICES,
    ...TYPES,
    ...NAMED_TYPES,
  ].map((service) => withRule({ services: [service] })),
  ...[...TIMES, ...OTHER_TIMES].flatMap((time) => [withRule({ after: time }), withRule({ before: time })]),
  ...Object.entries(AMOUNTS).flatMap(([key, [first = 0, last = 0]]) =>
    [first - 1, first, first + 0.5, last, last + 1, String(first)].map((amount) => withShare({ [key]: amount })),
  ),
];

function schemaTakes(cases: readonly unknown[]): boolean[] {
  const input = cases.map((json) => `${JSON.stringify(json)}\n`).join('');
  const ran = spawnSync(PYTHON, ['-I', '-c', VALIDATE, SCHEMA], { input, maxBuffer: MAX_ANSWER_BYTES });
  expect(ran.stderr.toString()).toBe('');
  return Array.from(ran.stdout.toString().trim(), (answer) => answer === '1');
}

/** Undefined where it takes it. */
function refusal(json: unknown): NetPolicyError | undefined {
  try {
    parsePolicy(json);
    return undefined;
  } catch (error) {
    if (error instanceof NetPolicyError) return error;
    throw error;
  }
}

/** Where the two differ, in words, and by which of the reasons they may. */
function compare(given: readonly unknown[]): {
  differences: string[];
  taken: number;
  refused: number;
  met: Set<string>;
} {
  // As a file has it: what JSON cannot say is gone.
  const cases: unknown[] = given.map((json) => JSON.parse(JSON.stringify(json)));
  const answers = schemaTakes(cases);
  expect(answers).toHaveLength(cases.length);
  const differences: string[] = [];
  const met = new Set<string>();
  for (const [index, json] of cases.entries()) {
    const error = refusal(json);
    const text = JSON.stringify(json);
    if (answers[index] === true && error !== undefined) {
      const reasons = Object.keys(BEYOND_A_SCHEMA).filter((reason) => BEYOND_A_SCHEMA[reason]?.(error, text) === true);
      for (const reason of reasons) met.add(reason);
      if (reasons.length === 0) differences.push(`only the parser refuses (${error.message}): ${text.slice(0, 500)}`);
    }
    if (answers[index] === false && error === undefined)
      differences.push(`only the schema refuses: ${text.slice(0, 500)}`);
  }
  const taken = answers.filter(Boolean).length;
  return { differences, taken, refused: cases.length - taken, met };
}

describe.skipIf(lacks !== '')(`policy.schema.json${lacks}`, () => {
  test('takes the policies of the documents', () => {
    const blocks = readFileSync(DOCUMENT, 'utf8').matchAll(/^```json\n(.*?)^```/gms);
    const found = [...blocks].map(([, text = '']): unknown => JSON.parse(text.startsWith('{') ? text : `{${text}}`));
    const policies = found.map((json) => ('version' in Object(json) ? json : withNetwork(Object(json))));
    expect(policies).toHaveLength(2);
    expect(compare(policies)).toMatchObject({ differences: [], taken: policies.length });
  });

  test('says at each limit, and of texts that are nearly right, what the parser says', () => {
    const { differences, met } = compare([...EDGES, ...TEXTS, ...BEYOND]);
    expect(differences).toEqual([]);
    expect([...met].toSorted()).toEqual(Object.keys(BEYOND_A_SCHEMA).toSorted());
  });

  test('takes what the parser takes, and refuses nothing else, of thousands of policies and of slips in them', () => {
    const right = [...fc.sample(arbitraryPolicyFile, 300), ...fc.sample(arbitraryPolicy, 100)];
    expect(compare(right)).toMatchObject({ differences: [], refused: 0 });
    const { differences, taken, refused } = compare(fc.sample(arbitraryPolicySlip, 3_000));
    expect(differences).toEqual([]);
    expect(Math.min(taken, refused)).toBeGreaterThan(100);
  });
});
