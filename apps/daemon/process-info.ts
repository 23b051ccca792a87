// Uid and resident memory of a process, from proc_pid_status(5).
import { readFile } from 'node:fs/promises';

export async function readProcess(pid: number): Promise<{ uid: number; rssBytes: number } | undefined> {
  const status = await readFile(`/proc/${String(pid)}/status`, 'utf8').catch(() => '');
  const uid = /^Uid:\s+(\d+)/m.exec(status)?.[1];
  const rssKiB = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return uid === undefined || rssKiB === undefined ? undefined : { uid: Number(uid), rssBytes: Number(rssKiB) * 1024 };
}
