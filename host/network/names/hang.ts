// Whether the server hangs: it is stopped, or questions lie in its sockets and it takes none of them. The kernel says both in /proc
// (proc_pid_stat(5), proc_pid_net(5)): nothing is started for it, and nobody is asked. Of one that is stuck while nobody waits for it
// nothing is known; machines renew their leases, so that somebody does.
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, readStat, type ProcessRef } from '../../exec/index.ts';

/** Where it listens: DNS (RFC 1035), DHCP (RFC 2131), DHCPv6 (RFC 8415). */
const PORTS: ReadonlySet<number> = new Set([53, 67, 547]);
const TABLES = ['udp', 'udp6'] as const;
const LOOK_MS = 100;
/**
 * Looks in which it does nothing, some 10 s. It answers in a millisecond; with a hundredth of a core, in a flood, it takes something each
 * second. They are counted and not timed: while the host stands still, or gives us no time, as little is held against it.
 */
const LOOKS = 100;
export const HANG_SECONDS: number = (LOOK_MS * LOOKS) / 1_000;

/** By socket, what has come and was not read yet. */
export type Unread = ReadonlyMap<string, number>;

/** Looks on for as long as it does nothing; false as soon as it does, or is gone, or has nothing to do. */
export async function hangs(server: ProcessRef, signal: AbortSignal): Promise<boolean> {
  let before = await readUnread(server);
  for (let look = 0; look < LOOKS && !signal.aborted; look += 1) {
    if (before.size === 0 && !isStopped(server)) return false;
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    const after = await readUnread(server);
    if (hasTaken(before, after)) return false;
    before = after;
  }
  return !signal.aborted && isAlive(server);
}

/** Nobody but the server takes anything out: whatever is less was read. */
export function hasTaken(before: Unread, after: Unread): boolean {
  return [...before].some(([socket, bytes]) => (after.get(socket) ?? 0) < bytes);
}

/** Of a table of the kernel's, the sockets of the server with something in them; lines that are not so are none of it. */
export function parseUnread(table: string): Unread {
  return new Map(
    table.split('\n').flatMap((line): [string, number][] => {
      // sl, local address and port, remote ones, state, tx_queue:rx_queue, …: all hexadecimal.
      const [, local = '', , , queues = ''] = line.trim().split(/\s+/);
      const port = /^[0-9A-F]+:([0-9A-F]{4})$/.exec(local)?.[1];
      const bytes = Number.parseInt(/^[0-9A-F]{8}:([0-9A-F]{8})$/.exec(queues)?.[1] ?? '0', 16);
      return port !== undefined && PORTS.has(Number.parseInt(port, 16)) && bytes > 0 ? [[local, bytes]] : [];
    }),
  );
}

/** By a signal (SIGSTOP): not by whoever traces it. */
function isStopped({ pid }: ProcessRef): boolean {
  return readStat(pid)?.state === 'T';
}

async function readUnread({ pid }: ProcessRef): Promise<Unread> {
  const tables = await Promise.all(TABLES.map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(() => '')));
  return new Map(tables.flatMap((table) => [...parseUnread(table)]));
}
