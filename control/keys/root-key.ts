// The root key of one process: 32 random bytes in a file that only its user may read, made once. Whoever has this file
// and the store beside it has every key below it (A4 with a backup of the whole state directory, A6); a passphrase, the
// host's TPM or a KMS in its place come later.
import { link, open, rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { dirname } from 'node:path';
import { RingwallError } from '@ringwall/api';
import { isErrno, removeUnfinished, syncDirectory } from '../files/index.ts';
import { Secret } from './secret.ts';
import { ROOT_KEY_BYTES } from './wrapped-key.ts';

/**
 * Opens the root key, or makes it. `mayCreate` is asked only when there is none: a process whose store already holds
 * keys must say no, since a new root key would open none of them.
 */
export async function openRootKey(path: string, mayCreate: () => boolean | Promise<boolean>): Promise<Secret> {
  const existing = await readRootKey(path);
  if (existing !== undefined) {
    // A process that was killed between link and unlink left a second name of the key.
    await removeUnfinished(path);
    return existing;
  }
  if (!(await mayCreate())) {
    throw new RingwallError('conflict', `the root key ${path} is missing, but keys that it wrapped are there`, {
      hint: 'restore it from a backup: without it these keys are lost',
    });
  }
  await removeUnfinished(path);
  using fresh = Secret.random(ROOT_KEY_BYTES);
  await createOnce(path, fresh);
  const made = await readRootKey(path);
  if (made === undefined) throw new RingwallError('internal', `the root key ${path} was made and is not there`);
  return made;
}

async function readRootKey(path: string): Promise<Secret | undefined> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const seen = await file.stat();
    const uid = process.getuid?.();
    if (!seen.isFile() || (uid !== undefined && seen.uid !== uid)) {
      throw new RingwallError('conflict', `the root key ${path} is not a file of this user`);
    }
    if ((seen.mode & 0o077) !== 0) {
      throw new RingwallError('conflict', `the root key ${path} is open to other users`, {
        hint: `chmod 0600 ${path}, and think about who may have read it`,
      });
    }
    const bytes = new Uint8Array(ROOT_KEY_BYTES + 1);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    if (bytesRead !== ROOT_KEY_BYTES) {
      throw new RingwallError('conflict', `the root key ${path} does not have ${String(ROOT_KEY_BYTES)} bytes`, {
        hint: 'restore it from a backup',
      });
    }
    const secret = Secret.take(bytes.subarray(0, ROOT_KEY_BYTES));
    bytes.fill(0);
    return secret;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    if (isErrno(error, 'ELOOP')) throw new RingwallError('conflict', `the root key ${path} is a symbolic link`);
    throw error;
  }
}

/** As writeFileAtomic, but never replaces: of two processes that start at a time, one key wins, whole. */
async function createOnce(path: string, key: Secret): Promise<void> {
  const beside = `${path}.unfinished-${randomBytes(8).toString('hex')}`;
  try {
    await using file = await open(beside, 'wx', 0o600);
    await file.writeFile(key.expose());
    await file.sync();
    await link(beside, path).catch((error: unknown) => {
      // Another process was first: its key is the one that is read back.
      if (!isErrno(error, 'EEXIST', 'ENOENT')) throw error;
    });
  } finally {
    await rm(beside, { force: true });
  }
  await syncDirectory(dirname(path));
}
