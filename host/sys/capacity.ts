// What a new machine could have of this host now, and what one process of it uses.
import { statfs } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { RingwallError } from '@ringwall/api';
import { parseStatus } from '../jail/proc.ts';
import type { HostView } from './host-view.ts';

const KIB_PER_MIB = 1024;
const MIB = 1024 * 1024;

export interface HostCapacity {
  readonly cpus: number;
  /** What the kernel could give without swapping (MemAvailable). */
  readonly memoryMiB: number;
  readonly totalMemoryMiB: number;
  /** Free space where machines' disks lie, for others than root. */
  readonly diskMiB: number;
}

export async function readCapacity(host: HostView, stateDir: string): Promise<HostCapacity> {
  const memory = parseMeminfo((await host.text('/proc/meminfo')) ?? '');
  const { bavail, bsize } = await statfs(stateDir).catch((cause: unknown) => {
    throw new RingwallError('host-lacks', `the state directory ${stateDir} is not there`, { cause });
  });
  return {
    cpus: availableParallelism(),
    memoryMiB: Math.floor(memory.availableKiB / KIB_PER_MIB),
    totalMemoryMiB: Math.floor(memory.totalKiB / KIB_PER_MIB),
    diskMiB: Math.floor((bavail * bsize) / MIB),
  };
}

/** Pure. */
export function parseMeminfo(text: string): { readonly totalKiB: number; readonly availableKiB: number } {
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN);
  const totalKiB = field('MemTotal');
  const availableKiB = field('MemAvailable');
  if (Number.isNaN(totalKiB) || Number.isNaN(availableKiB)) {
    throw new RingwallError('internal', '/proc/meminfo has no MemTotal or no MemAvailable');
  }
  return { totalKiB, availableKiB };
}

export interface ProcessInfo {
  readonly pid: number;
  readonly uid: number;
  readonly rssBytes: number;
}

/** Undefined where there is no such process. */
export async function readProcessInfo(host: HostView, pid: number): Promise<ProcessInfo | undefined> {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  const text = await host.text(`/proc/${pid}/status`);
  if (text === undefined) return undefined;
  const rssKiB = Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0);
  const [uid] = parseStatus(text).uids;
  return uid === undefined ? undefined : { pid, uid, rssBytes: rssKiB * 1024 };
}
