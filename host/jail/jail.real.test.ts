// Starts small programs in real jails and lets them try what an escaped VMM would try first.
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isAlive, killProcess, run, spawnDetached, waitForExit } from '../exec/index.ts';
import { endAtStart, lacksForJails, openBench, type Bench } from './testing/bench.ts';
import {
  boundRunFile,
  compileJail,
  endJail,
  readClosure,
  readEnd,
  readProtections,
  readRunFile,
  seccompFilter,
  startJail,
  type StartedJail,
} from './index.ts';
import { reclaimLeases } from './start.ts';
import type { SeccompProfile } from './profiles.ts';
import { SYSCALL_NUMBERS, type SyscallName } from './syscalls.ts';

/** Of perl-base, which every Debian has: it makes any system call by number, as an intruder's code would. */
const PERL = '/usr/bin/perl';
const MIB = 1024 * 1024;
const lacks = lacksForJails() ?? (existsSync(PERL) ? undefined : `skipped: needs ${PERL}`);

let bench: Bench;
let count = 0;

async function jailed(
  command: readonly string[],
  options: { profile?: SeccompProfile; ownedDir?: string } = {},
): Promise<StartedJail> {
  count += 1;
  const program = await readClosure(run, command.slice(0, 1));
  return startJail({
    purpose: `jail ${count}`,
    name: `${bench.name}-${count}`,
    leases: bench.leases,
    runDir: join(bench.dir, `run-${count}`),
    runDirBytes: MIB,
    cgroup: { memoryBytes: 32 * MIB, tasks: 8, cpus: 0.5 },
    limits: { openFiles: 32, fileBytes: MIB, tasks: 8 },
    profile: options.profile ?? 'tpm',
    readOnly: program,
    ...(options.ownedDir === undefined ? {} : { ownedDir: { source: options.ownedDir, target: '/state' } }),
    command: () => command,
    failure: 'internal',
  });
}

/** How a Perl program ends in a jail, and what it says. */
async function endOf(script: string, profile: SeccompProfile = 'tpm'): Promise<string> {
  // It lives a little, so that it is seen to have started. On a busy host it may end before: then the start says how.
  const jail = await jailed([PERL, '-e', `select(undef, undef, undef, 0.1); ${script}`], { profile }).catch(endAtStart);
  if (typeof jail === 'string') return jail;
  try {
    await jail.exited;
    return await readEnd(jail);
  } finally {
    await endJail(jail, bench.leases);
  }
}

/** A Perl program that makes a system call and says what came of it. */
function calls(name: SyscallName, ...args: (number | string)[]): string {
  const list = [SYSCALL_NUMBERS[name], ...args].join(', ');
  return `my $r = syscall(${list}); print STDERR $r < 0 ? "refused: $!" : "done: $r";`;
}

describe.skipIf(lacks !== undefined)(`a jail${lacks === undefined ? '' : ` (${lacks})`}`, () => {
  beforeAll(async () => {
    bench = await openBench('jail');
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });

  test.each([
    ['ptrace', 0],
    ['mount', 0],
    ['pivot_root', 0],
    ['chroot', 0],
    ['unshare', 0x10000000],
    ['setns', 0],
    ['mknodat', 0],
    ['bpf', 0],
    ['keyctl', 0],
    ['userfaultfd', 0],
    ['process_vm_readv', 1],
    ['open_by_handle_at', 0],
    ['io_uring_enter', 0],
    ['init_module', 0],
    ['setuid', 0],
    ['fork'],
  ] as const)('kills a program that calls %s', async (name, ...args) => {
    expect(await endOf(calls(name, ...args, 0, 0, 0))).toBe('killed by its system call filter');
  });

  test.each([
    ['a network socket', calls('socket', 2, 1, 0), /^status 0: refused: Address family not supported/],
    ['a netlink socket', calls('socket', 16, 3, 0), /^status 0: refused: Address family not supported/],
    ['a Unix socket', calls('socket', 1, 1, 0), /^status 0: done: \d+$/],
    ['a second process', calls('clone', 0x11, 0, 0, 0, 0), /^status 0: refused: Operation not permitted/],
    ['a namespace', calls('clone', 0x10010000, 0, 0, 0, 0), /^status 0: refused: Operation not permitted/],
    ['the newer clone', calls('clone3', 0, 0), /^status 0: refused: Function not implemented/],
    ['an io_uring', calls('io_uring_setup', 1, 0), /^status 0: refused: Function not implemented/],
    [
      'memory to write and execute',
      calls('mmap', 0, 4096, 7, 0x22, -1, 0),
      /^status 0: refused: Operation not permitted/,
    ],
    ['memory to write', calls('mmap', 0, 4096, 3, 0x22, -1, 0), /^status 0: done: \d+$/],
  ])('answers a program that asks for %s', async (_, script, answer) => {
    expect(await endOf(script)).toMatch(answer);
  });

  test('lets the VMM of an emulated machine alone have memory to write and execute', async () => {
    const script = calls('mmap', 0, 4096, 7, 0x22, -1, 0);
    expect(await endOf(script, 'vmm-tcg')).toMatch(/^status 0: done/);
    expect(await endOf(script, 'vmm-kvm')).toMatch(/^status 0: refused/);
  });

  const opens = (mode: string, path: string): string =>
    `open(my $f, '${mode}', '${path}') ? print STDERR 'done' : print STDERR "refused: $!";`;
  test.each([
    ['read a file of the host', opens('<', '/etc/passwd'), 'refused: No such file'],
    ['see processes', opens('<', '/proc/self/status'), 'refused: No such file'],
    ['write beside its own directory', opens('>', '/x'), 'refused: Read-only file system'],
    [
      'write to its own program',
      opens('>>', PERL),
      /refused: (?:Text file busy|Read-only file system|Permission denied)/,
    ],
    ['write to its own directory', opens('>', '/run/x'), 'done'],
    [
      'start a program that it wrote',
      `open(my $f, '>', '/run/x'); print $f "#!${PERL}\n"; chmod 0700, '/run/x'; close $f; exec '/run/x'; print STDERR "refused: $!"`,
      'refused: Permission denied',
    ],
    [
      'fill more than its directory',
      // Its log lies there too, so that it can say no more than a status.
      `open(my $f, '>', '/run/x'); for (1..15) { syswrite($f, 'x' x 65536) // exit(7) } exit(8)`,
      'status 8',
    ],
    [
      'fill more than its directory by two files',
      `for my $n (1..2) { open(my $f, '>', "/run/$n"); for (1..15) { syswrite($f, 'x' x 65536) // exit(7) } }`,
      'status 7',
    ],
    ['take more memory than its cgroup has', `my $x = 'x' x (256 * 1024 * 1024); print STDERR 'done'`, /signal 9/],
  ])('when its program tries to %s', async (_, script, answer) => {
    expect(await endOf(script)).toMatch(answer);
  });

  test('does not hand on a descriptor that nobody meant for it', async () => {
    await using leaked = await open('/etc/passwd', 'r');
    await using log = await open(join(bench.dir, 'log'), 'w');
    await using status = await open(join(bench.dir, 'status'), 'w');
    const script = `open(my $f, '<&=', 5) ? print STDERR 'read: ' . <$f> : print STDERR "refused: $!"`;
    const { uid } = bench.leases.acquire({ purpose: 'leak' });
    const argv = compileJail({
      uid,
      cgroupDirs: [],
      limits: { openFiles: 32, fileBytes: MIB, tasks: 8 },
      readOnly: await readClosure(run, [PERL]),
      writable: [],
      devices: [{ source: '/dev/null', target: '/dev/null' }],
      statusFd: 3,
      seccompFd: 4,
      lastFd: 4,
      command: [PERL, '-e', script],
    });
    const child = await spawnDetached(argv, {
      logFd: log.fd,
      descriptors: [
        { kind: 'file', fd: status.fd },
        { kind: 'bytes', bytes: seccompFilter('tpm') },
        { kind: 'file', fd: leaked.fd },
      ],
    });
    await child.exited;
    bench.leases.release(uid);
    expect(await readFile(join(bench.dir, 'log'), 'utf8')).toBe('refused: Bad file descriptor');
  });

  test('holds, read back from /proc', async () => {
    const jail = await jailed(['/usr/bin/sleep', '60']);
    const protections = await readProtections({
      part: 'tpm',
      process: jail.process,
      files: [],
      ownDirs: [jail.runDir],
    });
    // `sleep` brings no filter of its own on top of the jail's.
    expect(protections.filter(({ state, id }) => state !== 'holds' && id !== 'tpm.seccomp')).toEqual([]);
    expect(protections.find(({ id }) => id === 'tpm.memory-limit')?.seen).toBe('32 MiB');
    expect(protections.find(({ id }) => id === 'tpm.task-limit')?.seen).toBe('8');
    expect(protections.find(({ id }) => id === 'tpm.cpu-limit')?.seen).toBe('0.5 processors');
    await endJail(jail, bench.leases);
    const after = await readProtections({ part: 'tpm', process: jail.process, files: [], ownDirs: [jail.runDir] });
    expect(new Set(after.map(({ state }) => state))).toEqual(new Set(['unknown']));
  });

  test('readProtections() of a process outside any jail says so', async () => {
    const own = {
      pid: process.pid,
      startTime: Number((await readFile('/proc/self/stat', 'utf8')).split(') ')[1]?.split(' ')[19]),
    };
    const protections = await readProtections({ part: 'vmm', process: own, files: [], ownDirs: [], memory: '/memory' });
    const missing = protections.filter(({ state }) => state === 'missing').map(({ id }) => id);
    const certain = [
      'uid',
      'capabilities',
      'seccomp',
      'namespaces',
      'network',
      'root',
      'mounts',
      'environment',
      'no-core',
    ];
    expect(missing).toEqual(expect.arrayContaining(certain.map((id) => `vmm.${id}`)));
  });

  test('hands its directory back to root, without what it should not hold', async () => {
    const state = join(bench.dir, 'state');
    await mkdir(state, { mode: 0o700 });
    await writeFile(join(state, 'kept'), 'x', { mode: 0o600 });
    const jail = await jailed(['/usr/bin/sleep', '60'], { ownedDir: state });
    const owner = async (path: string): Promise<string> =>
      (await run(['/usr/bin/stat', '-c', '%u', path])).stdout.toString().trim();
    expect(await owner(join(state, 'kept'))).toBe(String(jail.uid));
    await symlink('/etc/shadow', join(state, 'trap'));
    await endJail(jail, bench.leases);
    expect([await owner(state), await owner(join(state, 'kept')), existsSync(join(state, 'trap'))]).toEqual([
      '0',
      '0',
      false,
    ]);
    expect(await owner('/etc/shadow')).toBe('0');
  });

  test('readRunFile() follows no link and waits for no pipe', async () => {
    const jail = await jailed(['/usr/bin/sleep', '60']);
    await symlink('/etc/passwd', join(jail.runDir, 'link'));
    await run(['/usr/bin/mkfifo', join(jail.runDir, 'pipe')]);
    await writeFile(join(jail.runDir, 'file'), 'x'.repeat(1000) + 'end');
    expect(await readRunFile(jail.runDir, 'link', 100)).toBeUndefined();
    expect(await readRunFile(jail.runDir, 'pipe', 100)).toBeUndefined();
    expect((await readRunFile(jail.runDir, 'file', 4))?.toString()).toBe('xend');
    await boundRunFile(jail.runDir, 'file', { maxBytes: 500, keepBytes: 10 });
    expect((await readRunFile(jail.runDir, 'file', 100))?.toString()).toBe('xxxxxxxend');
    await endJail(jail, bench.leases);
  });

  test('is reclaimed with all that was made for it when its program was killed and we had died', async () => {
    const jail = await jailed(['/usr/bin/sleep', '60']);
    expect(await reclaimLeases(bench.leases)).toEqual([]);
    await killProcess(jail.process);
    await waitForExit(jail.supervisor, 2_000);
    expect(isAlive(jail.process)).toBe(false);
    expect(await reclaimLeases(bench.leases)).toEqual([expect.stringMatching(/^jail \d+$/)]);
    expect(existsSync(jail.runDir)).toBe(false);
  });

  test('that cannot be built says why, and leaves nothing', async () => {
    await expect(jailed(['/usr/bin/no-such-program'])).rejects.toMatchObject({ code: 'host-lacks' });
    const bad = startJail({
      purpose: 'bad',
      name: `${bench.name}-bad`,
      leases: bench.leases,
      runDir: join(bench.dir, 'run-bad'),
      runDirBytes: MIB,
      cgroup: { memoryBytes: 32 * MIB, tasks: 8, cpus: 1 },
      limits: { openFiles: 32, fileBytes: MIB, tasks: 8 },
      profile: 'tpm',
      readOnly: [{ source: '/no/such/file', target: '/x' }],
      command: () => ['/x'],
      failure: 'tpm-failed',
    });
    await expect(bad).rejects.toMatchObject({ code: 'tpm-failed', message: expect.stringContaining('/no/such/file') });
  });

  test('leaves nothing behind', async () => {
    expect(await bench.left()).toEqual([]);
  });
});
