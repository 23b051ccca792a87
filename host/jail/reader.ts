// A jail for a program that reads hostile files for a moment and answers in text. Unlike that of a machine it needs no service and
// no right: any user can start it. What is to be read comes by standard input into a file system in memory that ends with the jail;
// the program sees itself, its libraries and nothing else of the host, no network and no other process.
import { RingwallError } from '@ringwall/api/errors';
import { FIRST_CHILD_FD, type Run, type RunResult } from '../exec/index.ts';
import { readClosure } from './closure.ts';
import { CORE_LIMIT_BYTES, JAIL_PROGRAMS, type JailFile } from './compile.ts';
import { UidLeases } from './leases.ts';
import { seccompFilter } from './profiles.ts';

/** Where it finds what it reads, and may write. */
export const READER_INPUT = '/input';
const SHELL = '/usr/bin/sh';
const TAR = '/usr/bin/tar';
/** The archive is ours, made of plain files: what could be set beside their contents is left alone. */
const UNPACK = `${TAR} -x -m --no-same-owner --no-same-permissions -f - -C ${READER_INPUT}`;
const OPEN_FILES = 256;
/** The program, its threads, and what unpacks beside it. */
const TASKS = 32;
/** Processors that it may keep busy until its time is over: should we end before that, the kernel ends it. */
const PROCESSORS = 4;

export interface ReaderLimits {
  /** Of the file system in memory: what is read, and what the program unpacks of it. */
  readonly workBytes: number;
  /** Of address space. */
  readonly memoryBytes: number;
  readonly timeoutMs: number;
  readonly outputBytes: number;
}

export interface ReaderJail {
  /** By its absolute path, with its arguments. */
  readonly command: readonly string[];
  /** A tar archive, unpacked in `READER_INPUT`. */
  readonly archive: Uint8Array;
  /** Of the host, beside the program and its libraries. */
  readonly readOnly?: readonly JailFile[];
  readonly limits: ReaderLimits;
}

/** Throws RingwallError `timeout`, `too-large`, or `host-lacks` where this host makes no such jail. */
export async function runReader(run: Run, jail: ReaderJail): Promise<RunResult> {
  const [program = ''] = jail.command;
  const files = await readClosure(run, [SHELL, TAR, program]);
  // Root leases it a uid; anybody else can only be who they are, without a right.
  const leases = process.getuid?.() === 0 ? new UidLeases() : undefined;
  const lease = leases?.acquire({ purpose: `reader ${program}` });
  try {
    const argv = compileReader({ ...jail, readOnly: [...files, ...(jail.readOnly ?? [])] }, lease?.uid);
    const { timeoutMs, outputBytes } = jail.limits;
    const result = await run(argv, {
      input: jail.archive,
      descriptors: [seccompFilter('reader')],
      timeoutMs,
      maxOutputBytes: outputBytes,
    });
    const words = result.stderr.toString('utf8');
    if (result.code !== 0 && /^(?:bwrap|prlimit|setpriv): /m.test(words))
      throw new RingwallError('host-lacks', `this host makes no jail for ${program}: ${words.slice(0, 200).trim()}`);
    return result;
  } finally {
    if (lease !== undefined) leases?.release(lease.uid);
  }
}

/** Pure. */
export function compileReader(
  { command, readOnly = [], limits }: Omit<ReaderJail, 'archive'>,
  uid: number | undefined,
): string[] {
  const both = (value: number): string => `${String(value)}:${String(value)}`;
  const rlimits = [
    `--core=${both(CORE_LIMIT_BYTES)}`,
    `--as=${both(limits.memoryBytes)}`,
    `--cpu=${both(Math.ceil((limits.timeoutMs * PROCESSORS) / 1000))}`,
    `--fsize=${both(limits.workBytes)}`,
    `--nofile=${both(OPEN_FILES)}`,
    // A user's other processes count too: only a leased uid has none.
    ...(uid === undefined ? [] : [`--nproc=${both(TASKS)}`]),
  ];
  const identity = ['--reuid', String(uid), '--regid', String(uid), '--clear-groups', '--no-new-privs'];
  const capabilities = ['--inh-caps=-all', '--ambient-caps=-all', '--bounding-set=-all', '--'];
  return [
    JAIL_PROGRAMS.prlimit,
    ...rlimits,
    '--',
    ...(uid === undefined ? [] : [JAIL_PROGRAMS.setpriv, ...identity, ...capabilities]),
    JAIL_PROGRAMS.bwrap,
    ...['--unshare-all', '--unshare-user', '--disable-userns', '--hostname', 'jail', '--as-pid-1', '--new-session'],
    ...['--die-with-parent', '--cap-drop', 'ALL', '--clearenv', '--seccomp', String(FIRST_CHILD_FD)],
    ...readOnly.flatMap(({ source, target }) => ['--ro-bind', source, target]),
    ...['--dev-bind', '/dev/null', '/dev/null'],
    ...['--size', String(limits.workBytes), '--tmpfs', READER_INPUT],
    ...['--remount-ro', '/', '--chdir', READER_INPUT],
    '--',
    ...[SHELL, '-euc', `${UNPACK}\nexec "$@"`, 'reader', ...command],
  ];
}
