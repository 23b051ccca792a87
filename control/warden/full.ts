// Says of what failed for want of room that the host is full. Asked before anything is cleaned up, which makes room.
import type { WardenContext } from './context.ts';
import { fullOr, hostFull } from '../files/index.ts';

const MIB = 2 ** 20;
/** Left free on the file system of the disks, so that records and logs can still be written when disks fill up. */
export const DISK_RESERVE_MIB: number = 256;

/** For the files of disks. */
export async function freeDiskBytes({ parts }: WardenContext): Promise<number> {
  const { diskMiB } = await parts.host.capacity();
  return Math.max(0, diskMiB - DISK_RESERVE_MIB) * MIB;
}

export async function explainFull(context: WardenContext, error: unknown): Promise<unknown> {
  const explained = fullOr(error);
  if (explained !== error) return explained;
  // A TPM or a VMM in its jail that finds no room says only that it failed.
  return (await context.parts.host.isFull().catch(() => false)) ? hostFull(error) : error;
}
