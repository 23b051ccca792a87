// Runs a compiled seccomp filter as the kernel would, for tests (net/core/filter.c, bpf_prog_run). Only the
// instructions that `compileBpf` makes; every jump and load is checked as the kernel's verifier checks it.
import { BPF, type BpfInstruction } from '../bpf.ts';

export interface SyscallData {
  readonly number: number;
  readonly arch: number;
  readonly args: readonly number[];
}

/** The filter's return value. */
export function interpret(program: readonly BpfInstruction[], data: SyscallData): number {
  const words = [data.number, data.arch, 0, 0, ...Array.from({ length: 6 }, (_, i) => [data.args[i] ?? 0, 0]).flat()];
  let accumulator = 0;
  for (let at = 0; at < program.length; at += 1) {
    const { code, jt, jf, k } = program[at] ?? { code: 0, jt: 0, jf: 0, k: 0 };
    if ([jt, jf].some((jump) => !Number.isInteger(jump) || jump < 0 || jump > 255)) {
      throw new RangeError(`instruction ${at}: a jump takes 8 bits`);
    }
    switch (code) {
      case BPF.loadAbsolute: {
        const word = words[k / 4];
        if (word === undefined) throw new RangeError(`instruction ${at}: no word at ${k}`);
        accumulator = word >>> 0;
        break;
      }
      case BPF.and:
        accumulator = (accumulator & k) >>> 0;
        break;
      case BPF.jumpEqual:
        at += accumulator === k ? jt : jf;
        break;
      case BPF.jumpGreaterOrEqual:
        at += accumulator >= k ? jt : jf;
        break;
      case BPF.return:
        return k;
      default:
        throw new RangeError(`instruction ${at}: code 0x${code.toString(16)}`);
    }
  }
  throw new RangeError('the program runs off its end');
}
