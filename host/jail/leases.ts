// Leases a uid (and the gid of the same number) to one jailed process. Host-wide: a lease is a file in a directory that
// every instance on this host uses, so that two of them never give out the same uid. The file says who holds it, and
// all that must be undone when the process is gone, so that a crash of the holder at any moment leaves nothing behind.
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { RingwallError } from '@ringwall/api';
import { isAlive, refOf, type ProcessRef } from '../exec/index.ts';

/** Above systemd's container range (up to 1,879,048,191), below 2^31, where some programs read uids as negative. */
export const LEASE_RANGE = { first: 2_000_000_000, last: 2_099_999_999 } as const;
export const LEASE_DIR = '/run/ringwall-uids';
/** How long to wait for another process of this host that holds the lock; it holds it for milliseconds. */
const LOCK_TIMEOUT_MS = 10_000;

export interface Lease {
  readonly uid: number;
  /** What it is for: a machine and a part, e.g. `mch_… vmm`. Never a path or a command. */
  readonly purpose: string;
  /** Who asked for it; it answers for the lease until `process` is known. */
  readonly holder: ProcessRef;
  readonly process?: ProcessRef;
  /** The name of its cgroup, and its run directory with a mount on it: what the end of the lease removes. */
  readonly cgroup?: string;
  readonly runDir?: string;
  /** Of the file that it maps its memory from: a mount, too. */
  readonly memoryDir?: string;
  /** A device node that was made for it. */
  readonly deviceNode?: string;
  /** A directory that belongs to the uid while the process runs, and to root again afterwards. */
  readonly ownedDir?: string;
}

export class UidLeases {
  readonly #dir: string;

  constructor(dir: string = LEASE_DIR) {
    this.#dir = dir;
  }

  /** Leases a uid that nobody holds and under which nothing runs. */
  acquire(lease: Omit<Lease, 'uid' | 'holder' | 'process'>): Lease {
    const holder = refOf(process.pid);
    if (holder === undefined) throw new RingwallError('internal', '/proc does not show this process');
    return this.#locked((state) => {
      const running = uidsInUse();
      const held = new Set(this.list().map((other) => other.uid));
      const size = LEASE_RANGE.last - LEASE_RANGE.first + 1;
      for (let tried = 0; tried <= held.size + running.size; tried += 1) {
        // Never the lowest free one: a uid comes back only after 100 million others, so that a file that was left
        // behind under it does not meet its next holder.
        const uid = LEASE_RANGE.first + (state.take() % size);
        if (held.has(uid) || running.has(uid)) continue;
        const taken: Lease = { ...lease, uid, holder };
        this.#write(taken);
        return taken;
      }
      throw new RingwallError('host-full', 'every uid for jailed processes is leased');
    });
  }

  /** Records what the lease has come to hold since. */
  update(lease: Lease): void {
    this.#locked(() => this.#write(lease));
  }

  release(uid: number): void {
    this.#locked(() => rmSync(this.#path(uid), { force: true }));
  }

  list(): Lease[] {
    let names: string[];
    try {
      names = readdirSync(this.#dir);
    } catch {
      return [];
    }
    return names.filter((name) => /^\d{10}$/.test(name)).flatMap((name) => this.#read(name) ?? []);
  }

  /** Leases whose process is gone, and whose holder is gone too where it never came to a process. */
  stale(): Lease[] {
    const running = uidsInUse();
    return this.list().filter((lease) => !running.has(lease.uid) && !isAlive(lease.process ?? lease.holder));
  }

  #path(uid: number): string {
    return join(this.#dir, String(uid));
  }

  #read(name: string): Lease | undefined {
    try {
      const value: unknown = JSON.parse(readFileSync(join(this.#dir, name), 'utf8'));
      return isLease(value) && String(value.uid) === name ? value : undefined;
    } catch {
      return undefined;
    }
  }

  #write(lease: Lease): void {
    const path = this.#path(lease.uid);
    writeFileSync(`${path}.new`, JSON.stringify(lease), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  /**
   * SQLite is used for its lock alone: the kernel drops it when its holder dies, which no lock file does. The counter
   * lives beside it; it starts at a random place at each boot of the host, since /run is empty then. So nothing of it has to outlive a
   * host that goes down, and nobody waits for a disk, where /run is on one.
   */
  #locked<T>(section: (state: { take: () => number }) => T): T {
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    chmodSync(this.#dir, 0o700);
    using database = new DatabaseSync(join(this.#dir, 'lock.db'), { timeout: LOCK_TIMEOUT_MS });
    database.exec('PRAGMA synchronous = OFF');
    database.exec('BEGIN IMMEDIATE');
    database.exec('CREATE TABLE IF NOT EXISTS counter (next INTEGER NOT NULL)');
    const start = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
    database.prepare('INSERT INTO counter SELECT ? WHERE NOT EXISTS (SELECT 1 FROM counter)').run(start);
    const take = (): number => {
      const row = database.prepare('UPDATE counter SET next = next + 1 RETURNING next').get();
      return Number(row?.['next']);
    };
    const result = section({ take });
    database.exec('COMMIT');
    return result;
  }
}

/** The uids of all processes that run now (real, effective, saved and file-system), as a set. */
function uidsInUse(): Set<number> {
  const uids = new Set<number>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const uid of uidsOf(Number(pid))) uids.add(uid);
  }
  return uids;
}

/** Every process that runs under this uid now. */
export function processesOf(uid: number): ProcessRef[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => uidsOf(pid).includes(uid))
    .flatMap((pid) => refOf(pid) ?? []);
}

function uidsOf(pid: number): number[] {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    // A zombie runs nothing and holds no file; its uid is free.
    if (/^State:\s*[ZX]/m.test(status)) return [];
    const line = /^Uid:\s*(.*)$/m.exec(status)?.[1] ?? '';
    return line.split(/\s+/).map(Number);
  } catch {
    return [];
  }
}

function isLease(value: unknown): value is Lease {
  if (typeof value !== 'object' || value === null) return false;
  const { uid, purpose, holder } = value as Partial<Lease>;
  return typeof uid === 'number' && typeof purpose === 'string' && typeof holder?.pid === 'number';
}
