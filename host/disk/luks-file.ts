// A disk that the VMM encrypts: a file in LUKS as QEMU writes it (version 1, aes-256, xts with plain64, sha256), made and
// written by QEMU's own tools in a jail of their own. They have the key by a pipe, the file by a directory that is theirs
// while they run, and meet no image format but LUKS: what is written comes as plain blocks over NBD.
import { chmod, mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import { run, waitForExit } from '../exec/index.ts';
import {
  endJail,
  feedKeyPipe,
  makeKeyPipe,
  readClosure,
  readEnd,
  readExitCode,
  startJail,
  type StartedJail,
  type UidLeases,
} from '../jail/index.ts';

export const QEMU_IMG = '/usr/bin/qemu-img';
export const QEMU_NBD = '/usr/bin/qemu-nbd';

/** The name of the file in its directory, where nothing else lies. */
export const LUKS_FILE = 'disk.luks';
/** Inside the jail. */
const DISK = `/disk/${LUKS_FILE}`;
const KEY = '/run/disk.key';
const SOCKET = '/run/nbd.sock';

/** What lies before the contents: QEMU's header and key slots take 2 MiB. */
export const LUKS_OVERHEAD_BYTES: number = 4 * 2 ** 20;
/** The key is 256 random bits: stretching it adds nothing but seconds to each start. */
const STRETCH_MS = 10;
/** QEMU measures how fast it can stretch keys for some seconds, and the file is allocated as a whole. */
const CREATE_TIMEOUT_MS = 180_000;

const MEMORY_BYTES = 512 * 2 ** 20;
/** Up to 64 threads of QEMU's pool for files. */
const TASKS = 80;
const CPUS = 2;
const OPEN_FILES = 64;
const RUN_DIR_BYTES = 2 ** 20;

export interface LuksFileOptions {
  /** Names jail and control group, e.g. `dsk_…-0a1b2c3d`. */
  readonly label: string;
  /** Of the file alone. */
  readonly dir: string;
  readonly sizeBytes: number;
  /** Text, as QEMU wants a passphrase. */
  readonly key: Uint8Array;
  readonly runDir: string;
  readonly leases: UidLeases;
}

/** Makes the file with all its room, so that a host without it says so now. */
export async function createLuksFile(options: LuksFileOptions): Promise<void> {
  const luks = ['key-secret=key', 'cipher-alg=aes-256', 'cipher-mode=xts', 'ivgen-alg=plain64', 'hash-alg=sha256'];
  const settings = [...luks, `iter-time=${STRETCH_MS}`, 'preallocation=falloc'].join(',');
  await mkdir(options.dir, { recursive: true, mode: 0o700 });
  const jail = await startTool(options, QEMU_IMG, [
    ...['create', '-q', '-f', 'luks', '--object', `secret,id=key,file=${KEY}`],
    ...['-o', settings, DISK, String(options.sizeBytes)],
  ]);
  try {
    const ended = await waitForExit(jail.process, CREATE_TIMEOUT_MS);
    const code = ended ? await readExitCode(jail) : undefined;
    if (code === 0) return;
    const said = await readEnd(jail);
    throw /No space left|ENOSPC/.test(said)
      ? new RingwallError('host-full', 'the disk of this host is full', {
          hint: 'make room on the file system of the state directory',
        })
      : new RingwallError('image-failed', `the encrypted disk could not be made: ${said}`);
  } finally {
    await endJail(jail, options.leases);
    await chmod(join(options.dir, LUKS_FILE), 0o600).catch(() => {}); // where it was not made, the error says so
  }
}

export interface LuksServer {
  readonly jail: StartedJail;
  /** On the host: of NBD, for one client. It belongs to the jail's uid: check it before you connect. */
  readonly socket: string;
}

/** Serves the contents of the file; ends by itself once its one client is gone. */
export async function serveLuksFile(options: LuksFileOptions): Promise<LuksServer> {
  // Each format is named: nothing is ever guessed from the bytes.
  const luks = ['driver=luks', 'key-secret=key', 'file.driver=file', `file.filename=${DISK}`];
  const jail = await startTool(options, QEMU_NBD, [
    ...['--object', `secret,id=key,file=${KEY}`, '--socket', SOCKET, '--export-name', '', '--cache', 'writeback'],
    ...['--aio', 'threads', '--discard', 'ignore', '--image-opts', luks.join(',')],
  ]);
  return { jail, socket: join(jail.runDir, basename(SOCKET)) };
}

async function startTool(options: LuksFileOptions, program: string, args: readonly string[]): Promise<StartedJail> {
  const name = basename(KEY);
  const purpose = `${options.label} ${basename(program)}`;
  const jail = await startJail({
    purpose,
    name: options.label,
    leases: options.leases,
    runDir: options.runDir,
    runDirBytes: RUN_DIR_BYTES,
    cgroup: { memoryBytes: MEMORY_BYTES, tasks: TASKS, cpus: CPUS },
    limits: { openFiles: OPEN_FILES, fileBytes: options.sizeBytes + LUKS_OVERHEAD_BYTES, tasks: TASKS },
    profile: 'disk-tool',
    readOnly: await readClosure(run, [program]),
    ownedDir: { source: options.dir, target: '/disk' },
    prepare: (uid, runDir) => makeKeyPipe(runDir, name, uid),
    command: () => [program, ...args],
    failure: 'image-failed',
  });
  try {
    await feedKeyPipe(purpose, jail, { name, key: options.key, failure: 'image-failed' });
    return jail;
  } catch (error) {
    await endJail(jail, options.leases);
    throw error;
  }
}
