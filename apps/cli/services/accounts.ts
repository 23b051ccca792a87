// The ids of system users and groups, from /etc/passwd and /etc/group (passwd(5), group(5)): where setup made them.
import { readFileSync } from 'node:fs';
import { RingwallError } from '@ringwall/api/errors';

export interface Accounts {
  readonly uidOf: (user: string) => number;
  readonly gidOf: (group: string) => number;
}

export function readAccounts(self: string, passwdFile = '/etc/passwd', groupFile = '/etc/group'): Accounts {
  const users = idsIn(passwdFile);
  const groups = idsIn(groupFile);
  const find = (ids: ReadonlyMap<string, number>, kind: string, name: string): number => {
    const id = ids.get(name);
    if (id !== undefined) return id;
    throw new RingwallError('host-lacks', `the system ${kind} ${name} is missing`, { hint: `make it: ${self} setup` });
  };
  return {
    uidOf: (user) => find(users, 'user', user),
    gidOf: (group) => find(groups, 'group', group),
  };
}

function idsIn(file: string): ReadonlyMap<string, number> {
  const ids = new Map<string, number>();
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [name, , id] = line.split(':');
    if (name !== undefined && id !== undefined && /^\d+$/.test(id)) ids.set(name, Number(id));
  }
  return ids;
}
