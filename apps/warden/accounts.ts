// Looks up the users and groups that Ringwall's processes run as, in the host's own files: they are made by the
// installation, never by the warden.
import { readFile } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api';

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export async function findUser(name: string): Promise<Account> {
  const fields = findEntry(await readFile('/etc/passwd', 'utf8'), name);
  const [uid, gid] = [Number(fields?.[2]), Number(fields?.[3])];
  if (!Number.isInteger(uid) || !Number.isInteger(gid)) throw missing('user', name);
  return { uid, gid };
}

export async function findGroup(name: string): Promise<number> {
  const gid = Number(findEntry(await readFile('/etc/group', 'utf8'), name)?.[2]);
  if (!Number.isInteger(gid)) throw missing('group', name);
  return gid;
}

/** Pure: the fields of one line of passwd(5) or group(5). */
export function findEntry(text: string, name: string): string[] | undefined {
  const line = text.split('\n').find((each) => each.startsWith(`${name}:`));
  return line?.split(':');
}

function missing(kind: 'user' | 'group', name: string): RingwallError {
  const command = kind === 'user' ? 'useradd' : 'groupadd';
  return new RingwallError('host-lacks', `this host has no ${kind} called ${name}`, {
    hint: `ringwall setup makes it; by hand: ${command} --system ${name}`,
  });
}
