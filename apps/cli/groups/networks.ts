// Networks and who may reach whom in them: their commands, as data.
import type { Command, Option } from '../command.ts';

const NETWORK: Option = {
  name: 'network',
  value: 'NAME',
  complete: 'none',
  summary: 'which network; not needed where there is one',
};

const RULE_OPTIONS: readonly Option[] = [
  NETWORK,
  { name: 'name', value: 'NAME', complete: 'none', summary: 'what the rule is called; else after what it says' },
  { name: 'for', value: 'TIME', complete: 'none', summary: 'until when it is in force, from now: 30m, 2h, 7d' },
  { name: 'log', summary: 'write down the connections that it decides about' },
  { name: 'why', value: 'TEXT', complete: 'none', summary: 'a sentence for whoever reads it next' },
];

const RULE_ARGUMENTS = [
  { name: 'FROM', complete: 'machine' },
  { name: 'TO', complete: 'machine' },
  { name: 'SERVICE', complete: ['tcp/', 'udp/', 'ping', 'any'], many: true },
] as const;

const ENDS =
  'FROM begins the connection, and its answers pass by themselves. An end is labels (role=web, or role=web,tier=1), a machine, ' +
  'an address or range, all (every machine of the network), internet (all that is not of it), or any. ' +
  'A service is tcp/5432, udp/5000-5010, tcp, ping, icmp/echo-request, gre or any.';

export const NETWORK_COMMANDS: readonly Command[] = [
  {
    name: 'network',
    group: 'Networks',
    summary: 'make, list, show and remove networks; nothing in a new one is allowed',
    description:
      'A network is the machines that are started with it. None of them shares a segment with another: each has a cable of its own to ' +
      'a router that passes what a rule allows. A machine’s card leads somewhere only while the machine is attested. ' +
      'With `peer` a network spans hosts: each writes a file for each other one (export), and reads what that wrote (add); between ' +
      'them goes WireGuard alone. The same policy is to be in force on all of them. ' +
      'With `egress` root says how networks get out that were made with --internet nat: by an interface that is given to them (--interface), ' +
      'or by one more that is made on it (--on). The host’s own addresses, routes and firewall are not touched.',
    forms: [
      'network create NAME',
      'network ls',
      'network show NAME',
      'network rm NAME',
      'network peer export NETWORK --to HOST --address ADDRESS',
      'network peer add NETWORK FILE',
      'network peer ls NETWORK',
      'network peer rm NETWORK HOST',
      'network peer rotate NETWORK HOST',
      'network egress on --on INTERFACE --address ADDRESS/LENGTH --gateway ADDRESS',
      'network egress off',
      'network egress show',
    ],
    arguments: [
      { name: 'ACTION', complete: ['create', 'ls', 'show', 'rm', 'peer', 'egress'] },
      { name: 'NAME', optional: true, many: true, complete: 'file' },
    ],
    options: [
      {
        name: 'addresses',
        value: 'RANGES',
        complete: 'none',
        summary: 'of create: as in 10.20.0.0/16,fd00:20::/64; else ranges that nobody has',
      },
      {
        name: 'mode',
        value: 'MODE',
        complete: ['routed', 'bridged', 'openvswitch'],
        summary: 'of create: routed; or all machines on one segment: bridged, or openvswitch',
      },
      {
        name: 'internet',
        value: 'WAY',
        complete: ['none', 'nat'],
        summary: 'of create: whether rules may lead out; none',
      },
      { name: 'to', value: 'HOST', complete: 'none', summary: 'of peer export: the host that it is for' },
      {
        name: 'address',
        value: 'ADDRESS',
        complete: 'none',
        summary:
          'of peer export and rotate: where this host is reached by the other, as said last; of egress on: its own outside, 192.0.2.10/24',
      },
      {
        name: 'as',
        value: 'NAME',
        complete: 'none',
        summary: 'of peer export: what this host is called; as said last, or its host name',
      },
      {
        name: 'interface',
        value: 'NAME',
        complete: 'none',
        summary: 'of egress on: an interface that is no more the host’s until egress off',
      },
      {
        name: 'on',
        value: 'NAME',
        complete: 'none',
        summary: 'of egress on: one that the host goes on using; another is made on it (macvlan)',
      },
      {
        name: 'gateway',
        value: 'ADDRESSES',
        complete: 'none',
        summary: 'of egress on: the router, one for each family',
      },
      {
        name: 'resolvers',
        value: 'ADDRESSES',
        complete: 'none',
        summary: 'of egress on: who is asked for names of the world; else nobody',
      },
      {
        name: 'never',
        value: 'RANGES',
        complete: 'none',
        summary: 'of egress on: what no machine may reach, besides this host and its links',
      },
      {
        name: 'output',
        short: 'o',
        value: 'FILE',
        complete: 'file',
        summary: 'of peer export and rotate: a file; else it is printed',
      },
    ],
    examples: [
      { line: 'network create app', says: 'with addresses that neither this host nor another network has' },
      { line: 'network create app --internet nat', says: 'a rule may then let machines out' },
      {
        line: 'network egress on --on eth0 --address 192.0.2.10/24 --gateway 192.0.2.1 --resolvers 9.9.9.9',
        says: 'lets those networks out, under that address; off takes it back',
      },
      { line: 'network show app', says: 'its machines, their addresses, and whose network is open' },
      {
        line: 'network peer export app --to beta --address 192.0.2.1 -o for-beta.json',
        says: 'what this host says of itself to beta: no secret, but signed',
      },
      { line: 'network peer add app from-beta.json', says: 'what beta wrote for this host: its machines are members' },
      { line: 'network peer rotate app beta -o for-beta.json', says: 'other keys with beta; no packet is lost for it' },
    ],
    exits: ['notFound', 'conflict', 'hostLacks', 'unavailable'],
    load: () => import('../commands/network.ts'),
  },
  {
    name: 'allow',
    group: 'Networks',
    summary: 'let machines reach others; what no rule allows does not happen',
    description: ENDS,
    arguments: RULE_ARGUMENTS,
    options: RULE_OPTIONS,
    examples: [
      { line: 'allow role=web role=db tcp/5432', says: 'each machine that is role=web, now and later' },
      { line: 'allow role=web internet tcp/443', says: 'in a network with a way out' },
      { line: 'allow admin all tcp/22 --for 2h --log', says: 'one machine, for two hours, written down' },
    ],
    exits: ['notFound', 'conflict', 'hostLacks', 'unavailable'],
    load: () => import('../commands/allow.ts'),
  },
  {
    name: 'deny',
    group: 'Networks',
    summary: 'refuse what rules allow: a rule that denies beats them all',
    description: ENDS,
    arguments: RULE_ARGUMENTS,
    options: RULE_OPTIONS,
    examples: [{ line: 'deny env=test env=live any --log', says: 'whatever else is allowed' }],
    exits: ['notFound', 'conflict', 'hostLacks', 'unavailable'],
    load: () => import('../commands/deny.ts'),
  },
  {
    name: 'label',
    group: 'Networks',
    summary: 'give a machine labels, or take them; the rules follow at once',
    arguments: [
      { name: 'NAME', complete: 'machine' },
      { name: 'LABEL', optional: true, complete: 'none', many: true },
    ],
    examples: [
      { line: 'label web role=web tier=1', says: 'one value for each key' },
      { line: 'label web tier-', says: 'takes it away' },
      { line: 'label web', says: 'prints what it has' },
    ],
    exits: ['notFound', 'conflict', 'unavailable'],
    load: () => import('../commands/label.ts'),
  },
  {
    name: 'net',
    group: 'Networks',
    summary: 'say who reaches whom, and why; policies as files',
    description:
      'why names the rule that decides, or the allow that would open it. map is all of it at once. plan says what a policy file would ' +
      'open and close, and which of its rules can never decide; apply puts it in force, all of it or nothing: the file is the whole, ' +
      'and a network that it does not name is removed. export prints what is in force as such a file. watch shows what is being ' +
      'refused, while it happens: who, whom, by what, and why. capture writes the packets of one machine as pcap, where root on the ' +
      'host has allowed that.',
    forms: [
      'net why FROM TO SERVICE',
      'net map',
      'net rules [rm RULE]',
      'net counters [MACHINE]',
      'net watch [MACHINE]',
      'net mirror [MACHINE...]',
      'net capture MACHINE [-o FILE]',
      'net plan FILE',
      'net apply FILE',
      'net export',
    ],
    arguments: [
      {
        name: 'ACTION',
        complete: ['why', 'map', 'rules', 'counters', 'watch', 'mirror', 'capture', 'plan', 'apply', 'export'],
      },
      { name: 'WORD', optional: true, complete: 'machine', many: true },
    ],
    options: [
      NETWORK,
      { name: 'svg', summary: 'of map: as a picture' },
      { name: 'html', summary: 'of map: as a page, the picture with a table' },
      { name: 'dot', summary: 'of map: in the language of Graphviz; dot -Tsvg draws it' },
      { name: 'all', summary: 'of mirror: all machines of the network' },
      { name: 'off', summary: 'of mirror: nothing any more' },
      { name: 'anyway', summary: 'of apply: also with rules that can never decide' },
      {
        name: 'seconds',
        value: 'SECONDS',
        complete: 'none',
        summary: 'of watch: so long, else until ctrl-c; of capture: 60 unless said otherwise',
      },
      {
        name: 'bytes',
        value: 'BYTES',
        complete: 'none',
        summary: 'of capture: at most so many; 16 MiB unless said otherwise',
      },
      {
        name: 'filter',
        value: 'FILTER',
        complete: 'none',
        summary: 'of capture: as tcpdump has it, e.g. "tcp port 80"',
      },
      {
        name: 'out',
        short: 'o',
        value: 'FILE',
        complete: 'file',
        summary: 'of map: the picture into this file; of capture: into a file that is not there yet',
      },
    ],
    examples: [
      { line: 'net why web db tcp/5432', says: 'the rule that decides, or what is missing' },
      { line: 'net map', says: 'who can reach whom' },
      { line: 'net map --html -o map.html', says: 'the same as a page, to look at and to hand on' },
      { line: 'net watch web', says: 'what is refused to web or from it, as it happens' },
      {
        line: 'net capture web -o web.pcap --filter "tcp port 80"',
        says: 'packets on its cable, for tcpdump or Wireshark',
      },
      { line: 'net mirror web', says: 'what is on its cable goes to a port for an IDS as well' },
      { line: 'net rules rm web-to-db', says: 'takes a rule back' },
      { line: 'net plan policy.json', says: 'before net apply policy.json' },
    ],
    exits: ['notFound', 'conflict', 'hostLacks', 'unavailable'],
    load: () => import('../commands/net.ts'),
  },
];
