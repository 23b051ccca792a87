// What no honest jailed program ever asks of the kernel, and one that has escaped would ask first: it is killed (profiles.ts), where its
// profile does not say otherwise.
import type { SyscallName } from './syscalls.ts';

/** Looking into, or working for, other processes; kernel interfaces with a long record of escapes. */
export const FATAL_LOOK: readonly SyscallName[] = [
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
export const FATAL_MOUNTS: readonly SyscallName[] = [
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
export const FATAL_HOST: readonly SyscallName[] = [
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
export const FATAL_IDENTITY: readonly SyscallName[] = [
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
