import { describe, expect, test } from 'vitest';
import {
  AUDIT_ARCH_X86_64,
  BPF,
  compileBpf,
  encodeBpf,
  ERRNO,
  SECCOMP_RET,
  X32_SYSCALL_BIT,
  type BpfInstruction,
  type SyscallRule,
} from './bpf.ts';
import { interpret } from './testing/bpf-interpreter.ts';
import { compileSeccomp, seccompRules, type SeccompProfile } from './profiles.ts';
import { SYSCALL_NUMBERS, type SyscallName } from './syscalls.ts';

const PROFILES: readonly SeccompProfile[] = ['vmm-kvm', 'vmm-tcg', 'tpm'];
const errno = (name: keyof typeof ERRNO): number => SECCOMP_RET.errno | ERRNO[name];
const KILL = SECCOMP_RET.killProcess;
const ALLOW = SECCOMP_RET.allow;

function judge(profile: SeccompProfile, name: SyscallName, ...args: number[]): number {
  return interpret(compileSeccomp(profile), { number: SYSCALL_NUMBERS[name], arch: AUDIT_ARCH_X86_64, args });
}

describe('compileBpf()', () => {
  const rules: SyscallRule[] = [
    { name: 'read', number: 0, action: 'allow' },
    { name: 'socket', number: 41, action: 'allow', when: { argument: 0, equals: [1, 16] }, otherwise: 'EAFNOSUPPORT' },
    {
      name: 'clone',
      number: 56,
      action: 'allow',
      when: { argument: 0, mask: 0xff00, equals: [0x100] },
      otherwise: 'kill',
    },
  ];

  test('compiles to the program that a reviewer would write', () => {
    expect(disassemble(compileBpf(rules, 'ENOSYS'))).toMatchSnapshot();
  });

  test('kills another architecture and the x32 door', () => {
    const program = compileBpf(rules, 'ENOSYS');
    expect(interpret(program, { number: 0, arch: 0x40000003, args: [] })).toBe(KILL);
    expect(interpret(program, { number: X32_SYSCALL_BIT, arch: AUDIT_ARCH_X86_64, args: [] })).toBe(KILL);
    expect(interpret(program, { number: 0xffffffff, arch: AUDIT_ARCH_X86_64, args: [] })).toBe(KILL);
  });

  test.each([
    ['an allowed call', 0, [], ALLOW],
    ['an unknown call', 999, [], errno('ENOSYS')],
    ['a socket of the first family', 41, [1], ALLOW],
    ['a socket of the second family', 41, [16], ALLOW],
    ['a socket of another family', 41, [2], errno('EAFNOSUPPORT')],
    ['a masked argument with other bits outside', 56, [0xab01cd], ALLOW],
    ['a masked argument with the one bit', 56, [0x01ff], ALLOW],
    ['a masked argument with a bit more', 56, [0x0300], KILL],
  ])('%s', (_, number, args, action) => {
    expect(interpret(compileBpf(rules, 'ENOSYS'), { number, arch: AUDIT_ARCH_X86_64, args })).toBe(action);
  });

  test('refuses a program that the kernel would refuse for its length', () => {
    const many = Array.from({ length: 3000 }, (_, number): SyscallRule => ({ name: 'x', number, action: 'allow' }));
    expect(() => compileBpf(many, 'kill')).toThrow(RangeError);
  });

  test('encodes struct sock_filter in little endian', () => {
    expect([...encodeBpf([{ code: 0x15, jt: 1, jf: 2, k: 0xc000003e }])]).toEqual([0x15, 0, 1, 2, 0x3e, 0, 0, 0xc0]);
  });
});

test('only the profile of readers starts processes, and it makes no namespace either', () => {
  expect(judge('reader', 'vfork')).toBe(ALLOW);
  expect(judge('reader', 'clone', 0x11)).toBe(ALLOW);
  expect(judge('reader', 'clone', 0x10000011)).toBe(errno('EPERM'));
  expect(judge('reader', 'ptrace')).toBe(KILL);
  expect(judge('reader', 'socket', 2)).toBe(errno('EAFNOSUPPORT'));
  expect(judge('disk-tool', 'vfork')).toBe(KILL);
});

describe('the profile names', () => {
  const [INET, INET6, NETLINK, PACKET] = [2, 10, 16, 17];
  const [STREAM, DGRAM, RAW, CLOEXEC] = [1, 2, 3, 0x80000];

  test.each([
    ['a datagram socket', [INET, DGRAM | CLOEXEC, 17], ALLOW],
    ['a stream socket', [INET6, STREAM, 0], ALLOW],
    ['a raw socket of ICMPv6', [INET6, RAW, 58], ALLOW],
    ['questions for interfaces', [NETLINK, RAW, 0], ALLOW],
    ['a raw socket of IPv4', [INET, RAW, 255], errno('EAFNOSUPPORT')],
    ['a raw socket of another protocol', [INET6, RAW, 17], errno('EAFNOSUPPORT')],
    ['a packet socket', [PACKET, RAW, 0x300], errno('EAFNOSUPPORT')],
    ['nftables', [NETLINK, RAW, 12], errno('EAFNOSUPPORT')],
  ])('judges %s', (_, args, action) => {
    expect(judge('names', 'socket', ...args)).toBe(action);
  });

  test('changes no interface, and never another user’s process', () => {
    // SIOCGIFADDR, SIOCSIFADDR, SIOCSARP.
    expect([0x8915, 0x8916, 0x8955].map((request) => judge('names', 'ioctl', 5, request))).toEqual([
      ALLOW,
      errno('EPERM'),
      errno('EPERM'),
    ]);
    for (const name of ['setuid', 'ptrace', 'setns', 'unshare', 'mount'] as const) {
      expect(judge('names', name), name).toBe(KILL);
    }
  });
});

describe.each(PROFILES)('the profile %s', (profile) => {
  test('names no call twice, so that no rule hides another', () => {
    const numbers = seccompRules(profile).map((rule) => rule.number);
    expect(numbers.length).toBe(new Set(numbers).size);
  });

  test.each([
    ...(['ptrace', 'bpf', 'mount', 'unshare', 'setns', 'keyctl', 'userfaultfd', 'pivot_root', 'chroot'] as const),
    ...(['process_vm_readv', 'open_by_handle_at', 'mknodat', 'kexec_load', 'init_module', 'io_uring_enter'] as const),
    ...(['execveat', 'fork', 'vfork', 'setuid', 'setresuid', 'perf_event_open', 'personality'] as const),
  ])('kills at %s', (name) => {
    expect(judge(profile, name)).toBe(KILL);
  });

  test('lets threads be made, but neither processes nor namespaces', () => {
    const thread = 0x3d0f00; // what glibc's pthread_create asks for
    expect(judge(profile, 'clone', thread)).toBe(ALLOW);
    expect(judge(profile, 'clone', 0x11)).toBe(errno('EPERM'));
    for (const namespace of [0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000]) {
      expect(judge(profile, 'clone', thread | namespace), namespace.toString(16)).toBe(errno('EPERM'));
    }
    expect(judge(profile, 'clone3')).toBe(errno('ENOSYS'));
  });

  test('lets Unix sockets be made and no others', () => {
    expect(judge(profile, 'socket', 1)).toBe(ALLOW);
    for (const family of [2, 10, 16, 17, 38, 40]) expect(judge(profile, 'socket', family)).toBe(errno('EAFNOSUPPORT'));
  });

  test('keeps from typing into a terminal, and from being dumpable again', () => {
    expect(judge(profile, 'ioctl', 0, 0x5412)).toBe(errno('EPERM'));
    expect(judge(profile, 'ioctl', 0, 0xae80)).toBe(ALLOW);
    // What lets a tap outlive its machine, and what QEMU asks of one.
    expect(judge(profile, 'ioctl', 0, 0x400454cb)).toBe(errno('EPERM'));
    expect(judge(profile, 'ioctl', 0, 0x400454d0)).toBe(ALLOW);
    expect(judge(profile, 'prctl', 4)).toBe(errno('EPERM'));
    expect(judge(profile, 'prctl', 15)).toBe(ALLOW);
  });

  test('lets memory be writable and executable at once for TCG alone', () => {
    for (const name of ['mmap', 'mprotect'] as const) {
      expect(judge(profile, name, 0, 4096, 0x7)).toBe(profile === 'vmm-tcg' ? ALLOW : errno('EPERM'));
      expect(judge(profile, name, 0, 4096, 0x5)).toBe(ALLOW);
      expect(judge(profile, name, 0, 4096, 0x3)).toBe(ALLOW);
    }
  });
});

describe('the profile of tunnels', () => {
  test.each([
    ['UDP', [2, 2], ALLOW],
    ['UDP over IPv6, not waiting', [10, 0x80802], ALLOW],
    ['a Unix socket', [1, 1], ALLOW],
    ['netlink', [16, 3], ALLOW],
    ['TCP', [2, 1], errno('EAFNOSUPPORT')],
    ['TCP over IPv6', [10, 0x80801], errno('EAFNOSUPPORT')],
    ['raw packets', [2, 3], errno('EAFNOSUPPORT')],
    ['frames', [17, 2], errno('EAFNOSUPPORT')],
    ['a socket to a hypervisor', [40, 1], errno('EAFNOSUPPORT')],
  ])('lets UDP be spoken with the network, and nothing else: %s', (_, args, action) => {
    expect(judge('tunnel', 'socket', ...args)).toBe(action);
  });

  test('says that the MTU is set without setting it, and stays away from terminals', () => {
    expect(judge('tunnel', 'ioctl', 5, 0x8922)).toBe(errno('DONE'));
    expect(judge('tunnel', 'ioctl', 5, 0x5412)).toBe(errno('EPERM'));
    expect(judge('tunnel', 'ioctl', 5, 0x400454ca)).toBe(ALLOW);
    expect(judge('tpm', 'ioctl', 5, 0x8922)).toBe(ALLOW);
  });
});

/** One line an instruction, for people. */
function disassemble(program: readonly BpfInstruction[]): string {
  const hex = (value: number): string => `0x${value.toString(16)}`;
  return program
    .map(({ code, jt, jf, k }, index) => {
      const to = (offset: number): number => index + 1 + offset;
      const text: Record<number, string> = {
        [BPF.loadAbsolute]: `A = data[${k}]`,
        [BPF.and]: `A &= ${hex(k)}`,
        [BPF.jumpEqual]: `if A == ${hex(k)} goto ${to(jt)} else ${to(jf)}`,
        [BPF.jumpGreaterOrEqual]: `if A >= ${hex(k)} goto ${to(jt)} else ${to(jf)}`,
        [BPF.return]: `return ${hex(k)}`,
      };
      return `${index}: ${text[code] ?? '?'}`;
    })
    .join('\n');
}
