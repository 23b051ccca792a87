// What machines say to each other is not for everybody who may use the API: root on this host has said so by a file of their own. No
// request can make it.
import { lstat } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';

export async function hasConsent(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  return found?.isFile() === true && found.uid === 0 && (found.mode & 0o022) === 0;
}

/** `what` is not allowed: `captures`. */
export async function requireConsent(path: string, what: string): Promise<void> {
  if (await hasConsent(path)) return;
  throw new RingwallError('unauthorized', `${what} are not allowed on this host`, {
    hint: `root allows them: touch ${path}; removing the file ends that`,
  });
}
