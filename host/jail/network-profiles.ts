// What a program in a network that is not its own may ask of the kernel beyond what any jailed process may (profiles.ts). A tunnel has
// no right there. The server of addresses and names has three capabilities (compile.ts), which these lists narrow to what dnsmasq 2.90
// was seen to do. So has the switch (two of them), for what ovs-vswitchd 3.1 was seen to do.
import type { Decision } from './bpf.ts';
import type { SyscallName } from './syscalls.ts';

/** wireguard-go watches the folder of its own socket. */
const TUNNEL_CALLS: readonly SyscallName[] = ['mkdirat', 'inotify_init1', 'inotify_add_watch', 'inotify_rm_watch'];
/** It becomes its user inside the jail (compile.ts), and serves each connection with a process of its own. */
const NAMES_CALLS: readonly SyscallName[] = ['setresuid', 'setresgid', 'setgroups', 'capset', 'capget'];

const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
/** linux/net.h; above these bits are flags. */
const SOCK_TYPE_MASK = 0xf;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const AF_UNIX = 1;
const AF_PACKET = 17;
const IPPROTO_ICMPV6 = 58;
/** linux/netlink.h: addresses and routes; nftables would be 12. */
const NETLINK_ROUTE = 0;
/** By which a kernel's own switch is driven, where it has one. */
const NETLINK_GENERIC = 16;

/** linux/sockios.h: what interfaces are called, their numbers, addresses and flags, and when a packet came. Nothing is changed. */
const NAMES_IOCTLS: Decision = {
  action: 'allow',
  when: { argument: 1, equals: [0x8906, 0x8910, 0x8913, 0x8915, 0x8921, 0x8927, 0x8933] },
  otherwise: 'EPERM',
};
/** linux/prctl.h, for whoever becomes its user inside the jail: capabilities that go, and the few that stay. */
const NAMES_PRCTLS: readonly number[] = [8, 24, 47];

/** The network is the host's: UDP and nothing else, so that no service of the host hears from there. */
const TUNNEL_SOCKETS: Decision = {
  action: 'allow',
  when: [
    { argument: 0, equals: [AF_INET, AF_INET6] },
    { argument: 1, mask: SOCK_TYPE_MASK, equals: [SOCK_DGRAM] },
  ],
  otherwise: 'EAFNOSUPPORT',
};

/** UDP and TCP, the one raw socket of router advertisements, and questions for interfaces: no packet sockets, no nftables. */
const NAMES_SOCKETS: Decision = {
  action: 'allow',
  when: [
    { argument: 0, equals: [AF_INET, AF_INET6] },
    { argument: 1, mask: SOCK_TYPE_MASK, equals: [SOCK_STREAM, SOCK_DGRAM] },
  ],
  otherwise: {
    action: 'allow',
    when: [
      { argument: 0, equals: [AF_INET6] },
      { argument: 1, mask: SOCK_TYPE_MASK, equals: [SOCK_RAW] },
      { argument: 2, equals: [IPPROTO_ICMPV6] },
    ],
    otherwise: {
      action: 'allow',
      when: [
        { argument: 0, equals: [AF_NETLINK] },
        { argument: 2, equals: [NETLINK_ROUTE] },
      ],
      otherwise: 'EAFNOSUPPORT',
    },
  },
};

/** It becomes its user inside the jail, as the server of names does, and starts nothing. */
const SWITCH_CALLS: readonly SyscallName[] = NAMES_CALLS;
/** Its ports are packet sockets, its own interfaces taps; interfaces it looks at and brings up, over netlink and by requests. */
const SWITCH_SOCKETS: Decision = {
  action: 'allow',
  when: { argument: 0, equals: [AF_UNIX, AF_PACKET] },
  otherwise: {
    action: 'allow',
    when: [
      { argument: 0, equals: [AF_NETLINK] },
      { argument: 2, equals: [NETLINK_ROUTE, NETLINK_GENERIC] },
    ],
    otherwise: {
      action: 'allow',
      when: [
        { argument: 0, equals: [AF_INET] },
        { argument: 1, mask: SOCK_TYPE_MASK, equals: [SOCK_DGRAM] },
      ],
      otherwise: 'EAFNOSUPPORT',
    },
  },
};
/**
 * linux/sockios.h, linux/if_tun.h: names, numbers, flags and settings of interfaces; its own taps, which go with it. No hardware
 * address and no owner of a tap is changed.
 */
const SWITCH_IOCTLS: Decision = {
  action: 'allow',
  when: {
    argument: 1,
    equals: [
      0x5421, 0x8910, 0x8913, 0x8914, 0x8921, 0x8922, 0x8924, 0x8927, 0x8933, 0x8946, 0x400454ca, 0x400454cb,
      0x400454d0,
    ],
  },
  otherwise: 'EPERM',
};

interface Asks {
  readonly calls: readonly SyscallName[];
  readonly sockets: Decision;
}

export const TUNNEL: Asks = { calls: TUNNEL_CALLS, sockets: TUNNEL_SOCKETS };
export const NAMES: Asks & { readonly ioctls: Decision; readonly prctls: readonly number[] } = {
  calls: NAMES_CALLS,
  sockets: NAMES_SOCKETS,
  ioctls: NAMES_IOCTLS,
  prctls: NAMES_PRCTLS,
};
export const SWITCH: typeof NAMES = {
  calls: SWITCH_CALLS,
  sockets: SWITCH_SOCKETS,
  ioctls: SWITCH_IOCTLS,
  prctls: NAMES_PRCTLS,
};
