// Makes the read-only system image of a guest: a squashfs with its dm-verity hash tree behind it. Squashfs, because it
// can be made by a user without privilege from an archive that holds other owners, and is the same for the same input.
//
// There is no verity superblock and no salt: all parameters are fixed here and in the guest's script, or stand in the
// measured command line, so that the guest reads nothing of the image before it can check it.
import { stat } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';
import type { Run } from '../exec/index.ts';

export interface VerityTree {
  readonly rootHash: string;
  /** Bytes before the tree. */
  readonly hashOffset: number;
}

export interface SquashfsTools {
  readonly run: Run;
  /** Of a Debian system: one to two minutes on two cores. */
  readonly timeoutMs?: number;
}

const BLOCK_BYTES = 4096;
const TIMEOUT_MS = 600_000;
const MKSQUASHFS = '/usr/bin/mksquashfs';
const TOOL_ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', TZ: 'UTC' };
/** Squashfs pads to 4 KiB by itself. No times, no extended attributes: nothing that differs between two builds. */
const REPRODUCIBLE = [
  '-noappend',
  '-no-xattrs',
  '-mkfs-time',
  '0',
  '-all-time',
  '0',
  // At its default, 15, it takes eight times as long, for a twelfth of the size.
  ...['-comp', 'zstd', '-Xcompression-level', '9'],
  '-quiet',
  '-no-progress',
];

/** Without it, everybody may write into the root directory. */
const ROOT_MODE = ['-root-mode', '755'];

/** A squashfs of a directory's tree, all of it owned by root. */
export async function squashDirectory(source: string, image: string, { run, timeoutMs }: SquashfsTools): Promise<void> {
  const argv = [MKSQUASHFS, source, image, ...REPRODUCIBLE, ...ROOT_MODE, '-all-root'];
  await succeed(run, argv, 'squashfs-tools', timeoutMs);
}

/** A squashfs of an uncompressed tar archive, with the owners that it names. */
export async function squashArchive(archive: string, image: string, { run, timeoutMs }: SquashfsTools): Promise<void> {
  // The root directory is not in the archive: mksquashfs gives it to whoever it thinks that it runs as.
  const argv = ['/usr/bin/fakeroot', '--', MKSQUASHFS, '-', image, '-tar', ...REPRODUCIBLE, ...ROOT_MODE];
  // An archive is read from standard input only; the shell's redirection saves holding it in memory.
  const shell = ['/bin/sh', '-c', 'archive=$1; shift; exec "$@" <"$archive"', 'sh', archive];
  await succeed(run, [...shell, ...argv], 'squashfs-tools', timeoutMs);
}

/** Appends the hash tree to the image. */
export async function appendVerityTree(image: string, { run, timeoutMs }: SquashfsTools): Promise<VerityTree> {
  const { size } = await stat(image);
  if (size % BLOCK_BYTES !== 0)
    throw new RingwallError('internal', `${image} has ${size} bytes, expected whole blocks`);
  const argv = ['/usr/sbin/veritysetup', 'format', image, image, ...verityParameters(size)];
  const said = await succeed(run, argv, 'cryptsetup-bin', timeoutMs);
  const rootHash = /^Root hash:\s+([0-9a-f]{64})$/m.exec(said)?.[1];
  if (rootHash === undefined) throw new RingwallError('image-failed', 'veritysetup gave no root hash');
  return { rootHash, hashOffset: size };
}

/** As apps/guest/initrd/system.sh has them. */
function verityParameters(bytes: number): string[] {
  return [
    ...['--no-superblock', '--hash=sha256', '--salt=-', '--data-block-size=4096', '--hash-block-size=4096'],
    ...[`--data-blocks=${bytes / BLOCK_BYTES}`, `--hash-offset=${bytes}`],
  ];
}

async function succeed(
  run: Run,
  argv: readonly string[],
  debianPackage: string,
  timeoutMs = TIMEOUT_MS,
): Promise<string> {
  const program = argv.find((word) => word.startsWith('/usr/')) ?? '';
  let result;
  try {
    result = await run(argv, { timeoutMs, env: TOOL_ENVIRONMENT });
  } catch (cause) {
    if (!(cause instanceof RingwallError) || cause.code !== 'host-lacks') throw cause;
    throw new RingwallError('host-lacks', cause.message, { hint: `apt-get install ${debianPackage}`, cause });
  }
  if (result.code !== 0) {
    const said = result.stderr.toString('utf8').trim().split('\n').at(-1) ?? '';
    const full = /No space left/.test(result.stderr.toString('utf8'));
    throw new RingwallError(full ? 'host-full' : 'image-failed', `${program} failed: ${said}`, {
      hint: full ? 'free some disk space: a build needs about 1 GiB for a while' : `is ${debianPackage} installed?`,
    });
  }
  return result.stdout.toString('utf8');
}
