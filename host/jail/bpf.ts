// Compiles a list of allowed system calls to a seccomp filter: classic BPF over struct seccomp_data
// (Documentation/userspace-api/seccomp_filter.rst, linux/filter.h), for x86-64 alone.

/** linux/audit.h: EM_X86_64 | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE. */
export const AUDIT_ARCH_X86_64 = 0xc000003e;
/** Set in the number of a call made through the x32 interface, a second door to the same kernel. */
export const X32_SYSCALL_BIT = 0x40000000;
/** BPF_MAXINSNS of linux/bpf_common.h. */
export const BPF_INSTRUCTION_LIMIT = 4096;

export const SECCOMP_RET = { allow: 0x7fff0000, errno: 0x00050000, killProcess: 0x80000000 } as const;

/** `DONE`: the call is not made, and its caller is told that it was. */
export const ERRNO = { DONE: 0, EPERM: 1, ENOSYS: 38, EAFNOSUPPORT: 97 } as const;
export type ErrnoName = keyof typeof ERRNO;

/** What the kernel does with a call: lets it pass, fails it with an error (or says that it did not), or kills the process. */
export type SeccompAction = 'allow' | 'kill' | ErrnoName;

/**
 * Holds where the low 32 bits of an argument, masked, equal one of these. The kernel reads no more of the arguments that
 * we test (flags, families, options and requests are all `int` or shorter masks).
 */
export interface ArgumentTest {
  readonly argument: number;
  readonly mask?: number;
  readonly equals: readonly number[];
}

export interface SyscallRule extends Decision {
  /** For those who read it. */
  readonly name: string;
  readonly number: number;
}

export interface Decision {
  readonly action: SeccompAction;
  /** Where it is given, `action` is for calls that satisfy it (all of them), and `otherwise` for the rest. */
  readonly when?: ArgumentTest | readonly ArgumentTest[];
  readonly otherwise?: SeccompAction | Decision;
}

export interface BpfInstruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** Offsets in struct seccomp_data: int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6]. */
const OFFSET_NUMBER = 0;
const OFFSET_ARCH = 4;
const OFFSET_ARGUMENTS = 16;

/** BPF_LD|BPF_W|BPF_ABS, BPF_ALU|BPF_AND|BPF_K, BPF_JMP|BPF_JEQ|BPF_K, BPF_JMP|BPF_JGE|BPF_K, BPF_RET|BPF_K. */
export const BPF = { loadAbsolute: 0x20, and: 0x54, jumpEqual: 0x15, jumpGreaterOrEqual: 0x35, return: 0x06 } as const;

/** Rules in the order given; a call that no rule names gets `fallback`. */
export function compileBpf(rules: readonly SyscallRule[], fallback: SeccompAction): BpfInstruction[] {
  const program: BpfInstruction[] = [
    load(OFFSET_ARCH),
    { code: BPF.jumpEqual, jt: 1, jf: 0, k: AUDIT_ARCH_X86_64 },
    returns('kill'),
    load(OFFSET_NUMBER),
    { code: BPF.jumpGreaterOrEqual, jt: 0, jf: 1, k: X32_SYSCALL_BIT },
    returns('kill'),
    ...rules.flatMap(compileRule),
    returns(fallback),
  ];
  if (program.length > BPF_INSTRUCTION_LIMIT) throw new RangeError(`${program.length} BPF instructions`);
  return program;
}

/** struct sock_filter: __u16 code; __u8 jt; __u8 jf; __u32 k; in the host's byte order, which is little here. */
export function encodeBpf(program: readonly BpfInstruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [index, { code, jt, jf, k }] of program.entries()) {
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, jt);
    view.setUint8(index * 8 + 3, jf);
    view.setUint32(index * 8 + 4, k, true);
  }
  return bytes;
}

function compileRule(rule: SyscallRule): BpfInstruction[] {
  const body = compileDecision(rule);
  return [{ code: BPF.jumpEqual, jt: 0, jf: body.length, k: rule.number }, ...body];
}

function compileDecision({ action, when = [], otherwise = 'kill' }: Decision): BpfInstruction[] {
  const no = typeof otherwise === 'string' ? [returns(otherwise)] : compileDecision(otherwise);
  return [when].flat().reduceRight((yes, test) => compileTest(test, yes, no), [returns(action)]);
}

function compileTest(
  test: ArgumentTest,
  yes: readonly BpfInstruction[],
  no: readonly BpfInstruction[],
): BpfInstruction[] {
  return [
    load(OFFSET_ARGUMENTS + test.argument * 8),
    ...(test.mask === undefined ? [] : [{ code: BPF.and, jt: 0, jf: 0, k: test.mask >>> 0 }]),
    ...test.equals.flatMap((value) => [{ code: BPF.jumpEqual, jt: 0, jf: yes.length, k: value >>> 0 }, ...yes]),
    ...no,
  ];
}

function load(offset: number): BpfInstruction {
  return { code: BPF.loadAbsolute, jt: 0, jf: 0, k: offset };
}

function returns(action: SeccompAction): BpfInstruction {
  return { code: BPF.return, jt: 0, jf: 0, k: actionValue(action) };
}

export function actionValue(action: SeccompAction): number {
  if (action === 'allow') return SECCOMP_RET.allow;
  if (action === 'kill') return SECCOMP_RET.killProcess;
  return SECCOMP_RET.errno | ERRNO[action];
}
