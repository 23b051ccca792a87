// What a jailed process may ask of the kernel: one list for the VMM, the TPM, the tools that write disks, those that read hostile
// files, and those that carry packets (common-calls.ts), found by tracing real boots (strace -f of QEMU with file, socket and thread
// work, KVM and TCG; of swtpm from its manufacture to its end; of wireguard-go), and what a profile adds to it.
//
// Three answers. What no honest VMM or TPM ever asks, and an escaped one would ask first, kills the process. A call whose
// arguments decide is tested. Everything else that is not on the list fails with ENOSYS, as on a kernel that lacks it,
// so that a newer libc falls back instead of dying.
import { compileBpf, encodeBpf, type BpfInstruction, type Decision, type SyscallRule } from './bpf.ts';
import { FILES, MEMORY, OWN_PROCESS, SOCKETS, WAITING } from './common-calls.ts';
import { FATAL_HOST, FATAL_IDENTITY, FATAL_LOOK, FATAL_MOUNTS } from './fatal-calls.ts';
import { NAMES, SWITCH, TUNNEL } from './network-profiles.ts';
import { SYSCALL_NUMBERS, type SyscallName } from './syscalls.ts';

/**
 * `vmm-tcg` and `witness` may make memory that is writable and executable at once, since TCG and V8 write machine code; the
 * others not.
 */
export type SeccompProfile =
  | 'vmm-kvm'
  | 'vmm-tcg'
  | 'tpm'
  | 'disk-tool'
  | 'witness'
  | 'reader'
  | 'tunnel'
  | 'names'
  | 'switch'
  | 'sniffer';

const WRITES_CODE: ReadonlySet<SeccompProfile> = new Set(['vmm-tcg', 'witness']);
/** A shell that unpacks what it is given, and then becomes the program that reads it: folders, and processes beside it. */
const STARTS_PROCESSES: ReadonlySet<SeccompProfile> = new Set(['reader']);
const STARTING: readonly SyscallName[] = ['fork', 'vfork', 'mkdir', 'mkdirat', 'rmdir'];

/** tcpdump opens what it listens on as root, and then becomes the uid that it was given, for good. */
const BECOMING: readonly SyscallName[] = ['setuid', 'setgid', 'setgroups', 'setresuid', 'setresgid', 'capset'];

/** Open vSwitch counts its own instructions where it may, and does without. */
const TRIED_BY_SWITCHES: readonly SyscallName[] = ['perf_event_open'];

/** linux/sched.h. */
const CLONE_THREAD = 0x00010000;
const CLONE_NAMESPACES = 0x7e020000; // NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
const AF_UNIX = 1;
const AF_INET = 2;
const AF_NETLINK = 16;
const AF_PACKET = 17;
/** Of sockets, where they are others than local ones. */
const FAMILIES: Readonly<Partial<Record<SeccompProfile, readonly number[]>>> = {
  tunnel: [AF_UNIX, AF_NETLINK],
  // AF_INET is what libpcap asks interfaces by.
  sniffer: [AF_UNIX, AF_INET, AF_NETLINK, AF_PACKET],
};
const PROT_WRITE_AND_EXEC = 0x6;
/** linux/prctl.h: names, timer slack, parent-death signal, and what the programs' own seccomp filters need. */
const PRCTL_ALLOWED: readonly number[] = [1, 15, 16, 21, 22, 23, 29, 38, 39, 0x53564d41];
/**
 * asm-generic/ioctls.h: TIOCSTI and TIOCLINUX type into the terminal that they are given. linux/if_tun.h, linux/sockios.h: what
 * would have a tap outlive its machine, or make it something else: TUNSETIFF, TUNSETPERSIST, TUNSETOWNER, TUNSETLINK,
 * TUNSETGROUP, TUNSETQUEUE, SIOCSIFHWADDR. Linux asks nothing more for these than that the tap is open.
 */
const TUNSETIFF = 0x400454ca;
const IOCTL_REFUSED: readonly number[] = [
  ...[0x5412, 0x541c],
  ...[TUNSETIFF, 0x400454cb, 0x400454cc, 0x400454cd, 0x400454ce, 0x400454d9, 0x8924],
];
/** linux/sockios.h: SIOCSIFMTU, with which wireguard-go would set what is set already, and for which it would need a capability. */
const IOCTL_SET_MTU = 0x8922;

const REFUSED: Decision = { action: 'EPERM', when: { argument: 1, equals: IOCTL_REFUSED }, otherwise: 'allow' };
/** It attaches to its interface by itself, which was made for its uid. */
const MTU_IS_SET: Decision = {
  action: 'DONE',
  when: { argument: 1, equals: [IOCTL_SET_MTU] },
  otherwise: { ...REFUSED, when: { argument: 1, equals: IOCTL_REFUSED.filter((request) => request !== TUNSETIFF) } },
};

/** Pure: the rules of a profile, the most used first. */
export function seccompRules(profile: SeccompProfile): SyscallRule[] {
  const names = profile === 'names';
  const switches = profile === 'switch';
  const serving = names ? NAMES : switches ? SWITCH : undefined;
  const starting = names ? NAMES.calls : STARTS_PROCESSES.has(profile) ? STARTING : [];
  const tunnels = profile === 'tunnel';
  const becoming = profile === 'sniffer' ? BECOMING : switches ? SWITCH.calls : [];
  const tried = switches ? TRIED_BY_SWITCHES : [];
  const fatal = [...FATAL_LOOK, ...FATAL_MOUNTS, ...FATAL_HOST, ...FATAL_IDENTITY].filter(
    (name) => !starting.includes(name) && !becoming.includes(name) && !tried.includes(name),
  );
  return [
    ...[...WAITING, ...FILES, ...OWN_PROCESS, ...SOCKETS, ...MEMORY].map(allow),
    ...[...starting, ...becoming, ...(tunnels ? TUNNEL.calls : [])].map(allow),
    // bwrap loads the filter before it starts the program, so that one execve must pass. QEMU's own sandbox
    // (spawn=deny) takes it away again; the TPM has no file that it could both write and execute.
    allow('execve'),
    // No namespace; a second process only where the profile says so.
    {
      ...call('clone'),
      action: 'allow',
      when:
        starting.length > 0
          ? { argument: 0, mask: CLONE_NAMESPACES, equals: [0] }
          : { argument: 0, mask: CLONE_THREAD | CLONE_NAMESPACES, equals: [CLONE_THREAD] },
      otherwise: 'EPERM',
    },
    // Its flags lie in memory, where no filter can look; libc falls back to clone.
    { ...call('clone3'), action: 'ENOSYS' },
    {
      ...call('socket'),
      ...(serving !== undefined
        ? serving.sockets
        : {
            action: 'allow',
            when: { argument: 0, equals: FAMILIES[profile] ?? [AF_UNIX] },
            otherwise: tunnels ? TUNNEL.sockets : 'EAFNOSUPPORT',
          }),
    },
    {
      ...call('prctl'),
      action: 'allow',
      when: { argument: 0, equals: [...PRCTL_ALLOWED, ...(serving?.prctls ?? [])] },
      otherwise: 'EPERM',
    },
    { ...call('ioctl'), ...(serving?.ioctls ?? (tunnels ? MTU_IS_SET : REFUSED)) },
    // A filter more can only narrow this one; QEMU and swtpm bring their own.
    allow('seccomp'),
    ...(['mmap', 'mprotect'] as const).map((name): SyscallRule =>
      WRITES_CODE.has(profile)
        ? allow(name)
        : {
            ...call(name),
            action: 'EPERM',
            when: { argument: 2, mask: PROT_WRITE_AND_EXEC, equals: [PROT_WRITE_AND_EXEC] },
            otherwise: 'allow',
          },
    ),
    // QEMU tries io_uring at its start and goes on without.
    { ...call('io_uring_setup'), action: 'ENOSYS' },
    ...tried.map((name): SyscallRule => ({ ...call(name), action: 'EPERM' })),
    ...fatal.map((name): SyscallRule => ({ ...call(name), action: 'kill' })),
  ];
}

/** Pure: the filter as a program. */
export function compileSeccomp(profile: SeccompProfile): BpfInstruction[] {
  return compileBpf(seccompRules(profile), 'ENOSYS');
}

/** Pure: the filter as the bytes that `bwrap --seccomp` reads. */
export function seccompFilter(profile: SeccompProfile): Uint8Array {
  return encodeBpf(compileSeccomp(profile));
}

function call(name: SyscallName): { name: SyscallName; number: number } {
  return { name, number: SYSCALL_NUMBERS[name] };
}

function allow(name: SyscallName): SyscallRule {
  return { ...call(name), action: 'allow' };
}
