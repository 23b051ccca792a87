// What a jailed process may ask of the kernel: one list for the VMM, the TPM, the tools that write disks, those that read hostile
// files, and those that carry packets, found by tracing real boots (strace -f of QEMU with file, socket and thread work, KVM and TCG; of swtpm from its
// manufacture to its end; of wireguard-go).
//
// Three answers. What no honest VMM or TPM ever asks, and an escaped one would ask first, kills the process. A call whose
// arguments decide is tested. Everything else that is not on the list fails with ENOSYS, as on a kernel that lacks it,
// so that a newer libc falls back instead of dying.
import { compileBpf, encodeBpf, type BpfInstruction, type Decision, type SyscallRule } from './bpf.ts';
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

/** Files: every path resolves inside the jail, where all but the run directory is read-only. */
const FILES: readonly SyscallName[] = [
  'read',
  'write',
  'readv',
  'writev',
  'pread64',
  'pwrite64',
  'preadv',
  'pwritev',
  'preadv2',
  'pwritev2',
  'lseek',
  'open',
  'openat',
  'close',
  'close_range',
  'fstat',
  'newfstatat',
  'stat',
  'lstat',
  'statx',
  'access',
  'faccessat',
  'faccessat2',
  'readlink',
  'readlinkat',
  'getdents64',
  'getcwd',
  'chdir',
  'fchdir',
  'fsync',
  'fdatasync',
  'ftruncate',
  'fallocate',
  'sync_file_range',
  // When QEMU takes its disks back after it has saved a state.
  'fadvise64',
  'unlink',
  'unlinkat',
  'rename',
  'renameat',
  'renameat2',
  'chmod',
  'fchmod',
  'fchmodat',
  'umask',
  'fstatfs',
  'statfs',
  'flock',
  'fcntl',
  'dup',
  'dup2',
  'dup3',
  'pipe',
  'pipe2',
];

/** Memory. */
const MEMORY: readonly SyscallName[] = [
  'munmap',
  'mremap',
  'madvise',
  'brk',
  'msync',
  'mincore',
  'mlock',
  'munlock',
  'membarrier',
  'memfd_create',
];

/** Waiting, and time. */
const WAITING: readonly SyscallName[] = [
  'poll',
  'ppoll',
  'select',
  'pselect6',
  'epoll_create',
  'epoll_create1',
  'epoll_ctl',
  'epoll_wait',
  'epoll_pwait',
  'epoll_pwait2',
  'eventfd',
  'eventfd2',
  'signalfd4',
  'timerfd_create',
  'timerfd_settime',
  'timerfd_gettime',
  'timer_create',
  'timer_settime',
  'timer_gettime',
  'timer_getoverrun',
  'timer_delete',
  'setitimer',
  'getitimer',
  'alarm',
  'nanosleep',
  'clock_nanosleep',
  'clock_gettime',
  'clock_getres',
  'gettimeofday',
  'time',
  'times',
];

/** Sockets that exist already; `socket` itself is tested. */
const SOCKETS: readonly SyscallName[] = [
  'socketpair',
  'bind',
  'listen',
  'accept',
  'accept4',
  'connect',
  'shutdown',
  'getsockname',
  'getpeername',
  'getsockopt',
  'setsockopt',
  'sendto',
  'recvfrom',
  'sendmsg',
  'recvmsg',
  'sendmmsg',
  'recvmmsg',
];

/** The process itself and its threads. */
const OWN_PROCESS: readonly SyscallName[] = [
  'futex',
  'futex_waitv',
  'set_robust_list',
  'get_robust_list',
  'rseq',
  'set_tid_address',
  'arch_prctl',
  'exit',
  'exit_group',
  'restart_syscall',
  'rt_sigaction',
  'rt_sigprocmask',
  'rt_sigreturn',
  'rt_sigtimedwait',
  'rt_sigsuspend',
  'rt_sigpending',
  'rt_sigqueueinfo',
  'rt_tgsigqueueinfo',
  'sigaltstack',
  'tgkill',
  'tkill',
  'kill',
  'pause',
  'getpid',
  'gettid',
  'getppid',
  'getpgrp',
  'getpgid',
  'getsid',
  'getuid',
  'geteuid',
  'getgid',
  'getegid',
  'getgroups',
  'getresuid',
  'getresgid',
  'getrlimit',
  'prlimit64',
  'getrusage',
  'sysinfo',
  'uname',
  'getrandom',
  'sched_yield',
  'sched_getaffinity',
  'sched_getparam',
  'sched_getscheduler',
  'getcpu',
  'getpriority',
  'wait4',
];

/** Looking into, or working for, other processes; kernel interfaces with a long record of escapes. */
const FATAL_LOOK: readonly SyscallName[] = [
  'ptrace',
  'process_vm_readv',
  'process_vm_writev',
  'process_madvise',
  'pidfd_open',
  'pidfd_getfd',
  'kcmp',
  'bpf',
  'perf_event_open',
  'io_uring_enter',
  'io_uring_register',
  'userfaultfd',
  'keyctl',
  'add_key',
  'request_key',
];

/** Mounts and namespaces. */
const FATAL_MOUNTS: readonly SyscallName[] = [
  'mount',
  'umount2',
  'pivot_root',
  'chroot',
  'unshare',
  'setns',
  'move_mount',
  'open_tree',
  'fsopen',
  'fsconfig',
  'fsmount',
  'fspick',
  'mount_setattr',
];

/** The host: modules, clock, swap, names. */
const FATAL_HOST: readonly SyscallName[] = [
  'kexec_load',
  'kexec_file_load',
  'init_module',
  'finit_module',
  'delete_module',
  'reboot',
  'swapon',
  'swapoff',
  'acct',
  'syslog',
  'quotactl',
  'quotactl_fd',
  'settimeofday',
  'clock_settime',
  'adjtimex',
  'clock_adjtime',
  'sethostname',
  'setdomainname',
  'vhangup',
];

/** Identity, devices, file handles, further programs and processes. */
const FATAL_IDENTITY: readonly SyscallName[] = [
  'iopl',
  'ioperm',
  'modify_ldt',
  'personality',
  'open_by_handle_at',
  'name_to_handle_at',
  'fanotify_init',
  'memfd_secret',
  'mknod',
  'mknodat',
  'execveat',
  'fork',
  'vfork',
  'setuid',
  'setgid',
  'setreuid',
  'setregid',
  'setresuid',
  'setresgid',
  'setfsuid',
  'setfsgid',
  'setgroups',
  'capset',
  'setxattr',
  'lsetxattr',
  'fsetxattr',
];

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
