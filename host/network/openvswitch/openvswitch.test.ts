import { expect, test } from 'vitest';
import { connectionsIn } from './connections.ts';
import { countFlows } from './counts.ts';
import { differences, parsePorts, portCommand } from './switch.ts';

const LISTING = [
  'tcp,orig=(src=10.20.0.1,dst=10.20.0.3,sport=35308,dport=80),reply=(src=10.20.0.3,dst=10.20.0.1,sport=80,dport=35308),zone=1,mark=1,protoinfo=(state=TIME_WAIT)',
  'icmp,orig=(src=10.20.0.3,dst=10.20.0.2,id=512,type=8,code=0),reply=(src=10.20.0.2,dst=10.20.0.3,id=512,type=0,code=0),zone=1',
  'udp,orig=(src=fd00:20::1,dst=fd00:20::3,sport=1,dport=2),reply=(src=fd00:20::3,dst=fd00:20::1,sport=2,dport=1),zone=1',
  'icmpv6,orig=(src=fd00:20::1,dst=fd00:20::3,id=1,type=128,code=0),reply=(src=fd00:20::3,dst=fd00:20::1,id=1,type=129,code=0),zone=1',
  '253,orig=(src=10.20.0.3,dst=10.20.0.1,sport=0,dport=0),reply=(src=10.20.0.1,dst=10.20.0.3,sport=0,dport=0),zone=1',
  'tcp,orig=(src=10.20.0.1,dst=10.20.0.30,sport=35308,dport=80),reply=(src=10.20.0.30,dst=10.20.0.1,sport=80,dport=35308),zone=1',
  'what is this',
  '',
].join('\n');

test('connectionsIn() knows how each began, and by what it is ended; nothing that would end the switch', () => {
  const found = connectionsIn(LISTING).map(({ begun: { from, to, protocol, number }, tuple }) => [
    `${from.text} ${to.text} ${protocol} ${number}`,
    tuple,
  ]);
  expect(found).toEqual([
    ['10.20.0.1 10.20.0.3 6 80', 'ct_nw_src=10.20.0.1,ct_nw_dst=10.20.0.3,ct_nw_proto=6,ct_tp_src=35308,ct_tp_dst=80'],
    [
      '10.20.0.3 10.20.0.2 1 8',
      'ct_nw_src=10.20.0.3,ct_nw_dst=10.20.0.2,ct_nw_proto=1,icmp_id=512,icmp_type=8,icmp_code=0',
    ],
    [
      'fd00:20::1 fd00:20::3 17 2',
      'ct_ipv6_src=fd00:20::1,ct_ipv6_dst=fd00:20::3,ct_nw_proto=17,ct_tp_src=1,ct_tp_dst=2',
    ],
    ['fd00:20::1 fd00:20::3 58 128', undefined],
    ['10.20.0.3 10.20.0.1 253 0', 'ct_nw_src=10.20.0.3,ct_nw_dst=10.20.0.1,ct_nw_proto=253,ct_tp_src=0,ct_tp_dst=0'],
    [
      '10.20.0.1 10.20.0.30 6 80',
      'ct_nw_src=10.20.0.1,ct_nw_dst=10.20.0.30,ct_nw_proto=6,ct_tp_src=35308,ct_tp_dst=80',
    ],
  ]);
});

test('differences() are what goes and what comes, in one bundle', () => {
  const before = new Map([
    ['table=1,priority=1,in_port=1', 'table=1,priority=1,in_port=1,actions=drop'],
    ['table=1,priority=1,in_port=2', 'cookie=0x3,table=1,priority=1,in_port=2,actions=drop'],
  ]);
  const after = new Map([
    ['table=1,priority=1,in_port=1', 'table=1,priority=1,in_port=1,actions=goto_table:2'],
    ['table=1,priority=1,in_port=3', 'table=1,priority=1,in_port=3,actions=drop'],
  ]);
  expect(differences(before, after)).toEqual([
    'delete_strict table=1,priority=1,in_port=2',
    'add table=1,priority=1,in_port=1,actions=goto_table:2',
    'add table=1,priority=1,in_port=3,actions=drop',
  ]);
  expect(differences(after, after)).toEqual([]);
});

test('parsePorts() knows a port that is there from one that is not yet', () => {
  const data = [
    ['t1', 1, 1],
    ['t2', ['set', []], 2],
    ['t3', -1, 3],
    ['switch', 65_534, ['set', []]],
  ];
  expect(parsePorts(JSON.stringify({ data, headings: ['name', 'ofport', 'ofport_request'] }))).toEqual([
    { name: 't1', has: 1, wanted: 1 },
    { name: 't2', has: undefined, wanted: 2 },
    { name: 't3', has: undefined, wanted: 3 },
    { name: 'switch', has: undefined, wanted: undefined },
  ]);
  expect(() => parsePorts('{}')).toThrow(/lists no ports/);
});

test('portCommand() asks for the number that flows mean, and that its queue is left as it is', () => {
  expect(portCommand('t1', 7, 'a-queue').join(' ')).toBe(
    '-- --may-exist add-port switch t1 -- set Interface t1 ofport_request=7 -- set Port t1 qos=a-queue',
  );
});

test('countFlows() adds up by the reason, the port and the decision that a cookie names', () => {
  const line = (cookie: string, packets: number): string =>
    ` cookie=${cookie}, duration=1.2s, table=1, n_packets=${packets}, n_bytes=${packets * 60}, idle_age=0, priority=0 actions=drop`;
  const listing = ['OFPST_FLOW reply', line('0x3', 2), line('0x3', 3), line('0x4000000100000001', 5), line('0x0', 9)];
  const more = [line('0x4000000200000000', 7), line('0x703', 4), line('0x703', 1), line('0xfeff01', 6)];
  expect(countFlows([...listing, ...more].join('\n'))).toEqual({
    refused: new Map([
      ['refused', { packets: 5, bytes: 300 }],
      ['denied', { packets: 5, bytes: 300 }],
    ]),
    refusedFrom: new Map([
      [7, new Map([['refused', { packets: 5, bytes: 300 }]])],
      [0xfeff, new Map([['denied', { packets: 6, bytes: 360 }]])],
    ]),
    decided: new Map([
      [0x40000001, 5],
      [0x40000002, 7],
    ]),
  });
});
