// A compiled network as a tree: tables of sets and chains, and rules of a few kinds of statements. Made by compile.ts, and
// rendered once, by render-nft.ts; nothing in it is text of nftables.

export type KeyType =
  | 'ipv4_addr'
  | 'ipv6_addr'
  | 'ether_addr'
  | 'ifname'
  | 'mark'
  | 'inet_proto'
  | 'inet_service'
  | 'icmp_type'
  | 'icmpv6_type';

export type KeyPart = string | number | { readonly first: string | number; readonly last: string | number };
/** `return` goes on behind the jump that led here. */
export type Verdict = 'accept' | 'drop' | 'return' | { readonly goto: string } | { readonly jump: string };

export interface SetElement {
  readonly key: readonly KeyPart[];
  /** Of a map. */
  readonly value?: number | Verdict;
}

export interface RuleSet {
  readonly name: string;
  readonly key: readonly KeyType[];
  readonly value?: 'mark' | 'verdict';
  /** Whether elements may be ranges. */
  readonly interval: boolean;
  /** Its elements come from packets that were metered, not from us; where it is said, they are forgotten after this long. */
  readonly metered?: { readonly forgottenAfterSeconds?: number };
  /** Each of its elements counts how often it was found. */
  readonly counted?: true;
  readonly elements: readonly SetElement[];
}

/** What can be looked at, spelled as nft(8) has it. */
export type Selector =
  | 'iifname'
  | 'iiftype'
  | 'nfproto'
  | 'oifname'
  | 'l4proto'
  | 'mark'
  | 'time'
  | 'ct mark'
  | 'ct state'
  | 'ct original ip saddr'
  | 'ct original ip daddr'
  | 'ct original ip6 saddr'
  | 'ct original ip6 daddr'
  | 'ether saddr'
  | 'ether daddr'
  | 'ether type'
  | 'ip saddr'
  | 'ip daddr'
  | 'ip6 saddr'
  | 'ip6 daddr'
  | 'ip6 hoplimit'
  | 'icmp type'
  | 'icmpv6 type'
  | 'icmpv6 target'
  | 'th dport'
  | 'th sport'
  | 'udp sport'
  | 'udp dport'
  | 'tcp dport'
  | 'tcp flags syn'
  | 'tcp flags syn,ack'
  | 'arp operation'
  | 'arp saddr ether'
  | 'arp saddr ip'
  | 'arp daddr ip';

export type Statement =
  | { readonly match: readonly Selector[]; readonly op: '==' | '!=' | '>=' | '<' | 'in'; readonly to: Operand }
  | { readonly assign: 'mark' | 'ct mark'; readonly from: number | Selector | Lookup }
  | { readonly decide: Lookup }
  | { readonly count: string }
  /** Goes on while there is less than each of these of each key. The set is one that is metered. */
  | { readonly meter: string; readonly key: readonly Selector[]; readonly below: readonly Measure[] }
  /** Goes on where there is more. */
  | { readonly meter: string; readonly key: readonly Selector[]; readonly over: Measure }
  /** Counts packets and bytes of each key in such a set; ends the rule where that is full. */
  | { readonly tally: string; readonly key: readonly Selector[] }
  /** Has such a set know the key, until it forgets. */
  | { readonly remember: string; readonly key: readonly Selector[] }
  /** Goes on with one packet of so many, whichever chance picks. */
  | { readonly oneOf: number }
  | { readonly log: { readonly prefix: string; readonly group: number; readonly perSecond: number } }
  /** Makes a TCP connection's segments as small as the route says. */
  | { readonly clamp: 'maxseg' }
  | { readonly verdict: Verdict | 'masquerade' }
  /** With one of these ports. */
  | { readonly masqueradeBy: { readonly first: number; readonly last: number } };

export type Measure =
  | { readonly perSecond: number; readonly burst: number; readonly unit?: 'bytes' }
  | { readonly perHour: number; readonly burst: number }
  /** As connection tracking knows them. */
  | { readonly connections: number };

export type Operand = { readonly set: string } | { readonly anyOf: readonly KeyPart[] } | number | string;

export interface Lookup {
  readonly map: string;
  readonly key: readonly Selector[];
}

export interface Chain {
  readonly name: string;
  readonly hook?: {
    readonly type: 'filter' | 'nat';
    readonly at: 'prerouting' | 'input' | 'forward' | 'postrouting';
    readonly priority: number;
    readonly policy: 'accept' | 'drop';
  };
  readonly rules: readonly (readonly Statement[])[];
}

export interface Table {
  readonly family: 'inet' | 'ip' | 'ip6' | 'arp' | 'bridge';
  readonly name: string;
  readonly counters: readonly string[];
  readonly sets: readonly RuleSet[];
  /** Hooked chains, and those they lead to, the latter first. */
  readonly chains: readonly Chain[];
}

/** What of a table belongs together; its parts are written where their subject is. */
export type TablePart = Pick<Table, 'sets' | 'chains'>;

export interface Ruleset {
  readonly tables: readonly Table[];
}

/** What is put in force as a whole. */
export interface CompiledRules {
  readonly ruleset: Ruleset;
}
