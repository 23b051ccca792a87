// A disk that the VMM encrypts: a file in LUKS (version 1, aes-256, xts with plain64, sha256), written by QEMU's own qemu-nbd in
// a jail of its own. It has the key by a pipe, the file by a directory that is its own while it runs, and meets no image
// format but LUKS: what is written comes as plain blocks over NBD.
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import { run } from '../exec/index.ts';
import {
  endJail,
  feedKeyPipe,
  makeKeyPipe,
  readClosure,
  startJail,
  type StartedJail,
  type UidLeases,
} from '../jail/index.ts';
import { LUKS_HEADER_BYTES, makeLuksHeader } from './luks-header.ts';

const FALLOCATE = '/usr/bin/fallocate';
const QEMU_NBD = '/usr/bin/qemu-nbd';

/** The name of the file in its directory, where nothing else lies. */
export const LUKS_FILE = 'disk.luks';
/** Inside the jail. */
const DISK = `/disk/${LUKS_FILE}`;
const KEY = '/run/disk.key';
const SOCKET = '/run/nbd.sock';

/** Where the file system cannot allocate, all of it is written. */
const ALLOCATE_TIMEOUT_MS = 180_000;

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
export async function createLuksFile({ dir, key, sizeBytes }: LuksFileOptions): Promise<void> {
  const path = join(dir, LUKS_FILE);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  try {
    await writeFile(path, makeLuksHeader(key), { flag: 'wx', mode: 0o600, flush: true });
  } catch (error) {
    throw error instanceof Error && 'code' in error && error.code === 'ENOSPC' ? hostFull() : error;
  }
  // It looks at no byte of the file, so it needs no jail. What it says is not asked: that of Debian 12 ends with 0 also where
  // there is no room, and the file then has another size.
  const wanted = LUKS_HEADER_BYTES + sizeBytes;
  await run([FALLOCATE, '--posix', '--length', String(wanted), path], { timeoutMs: ALLOCATE_TIMEOUT_MS });
  const { size } = await stat(path);
  if (size !== wanted) throw hostFull();
}

function hostFull(): RingwallError {
  return new RingwallError('host-full', 'the disk of this host is full', {
    hint: 'make room on the file system of the state directory',
  });
}

export interface LuksServer {
  readonly jail: StartedJail;
  /** On the host: of NBD, for one client. It belongs to the jail's uid: check it before you connect. */
  readonly socket: string;
}

/** Serves the contents of the file; ends by itself once its one client is gone. */
export async function serveLuksFile(options: LuksFileOptions): Promise<LuksServer> {
  const name = basename(KEY);
  const purpose = `${options.label} ${basename(QEMU_NBD)}`;
  const jail = await startJail({
    purpose,
    name: options.label,
    leases: options.leases,
    runDir: options.runDir,
    runDirBytes: RUN_DIR_BYTES,
    cgroup: { memoryBytes: MEMORY_BYTES, tasks: TASKS, cpus: CPUS },
    limits: { openFiles: OPEN_FILES, fileBytes: options.sizeBytes + LUKS_HEADER_BYTES, tasks: TASKS },
    profile: 'disk-tool',
    readOnly: await readClosure(run, [QEMU_NBD]),
    ownedDir: { source: options.dir, target: '/disk' },
    prepare: (uid, runDir) => makeKeyPipe(runDir, name, uid),
    command: () => [
      ...[QEMU_NBD, '--object', `secret,id=key,file=${KEY}`, '--socket', SOCKET, '--export-name', ''],
      ...['--cache', 'writeback', '--aio', 'threads', '--discard', 'ignore', '--image-opts'],
      // Each format is named: nothing is ever guessed from the bytes.
      ['driver=luks', 'key-secret=key', 'file.driver=file', `file.filename=${DISK}`].join(','),
    ],
    failure: 'image-failed',
  });
  try {
    await feedKeyPipe(purpose, jail, { name, key: options.key, failure: 'image-failed' });
    return { jail, socket: join(jail.runDir, basename(SOCKET)) };
  } catch (error) {
    await endJail(jail, options.leases);
    throw error;
  }
}
