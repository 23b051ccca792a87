// Protections of what lies in memory and on disks: merging, swap, encryption of the state directory.
import { parseMountinfo } from '../jail/proc.ts';
import type { HostCheck, Look } from './finding.ts';
import type { HostView } from './host-view.ts';

/** dm-crypt over LVM over RAID is four deep; deeper is not looked for. */
const DEVICE_DEPTH = 8;

export function storageChecks(stateDir: string): readonly HostCheck[] {
  return [
    {
      id: 'memory.no-merging',
      title: 'equal pages of guests are not merged (KSM off)',
      present: 'no guest (A1) can find out by timing what another has in memory',
      missing: 'Ringwall’s own machines keep out of it (mem-merge=off); other programs’ memory is merged',
      hint: 'echo 2 > /sys/kernel/mm/ksm/run',
      look: async (host) => {
        const run = await host.text('/sys/kernel/mm/ksm/run');
        return {
          present: run !== '1',
          seen: run === undefined ? 'not in this kernel' : run === '1' ? 'running' : 'not running',
        };
      },
    },
    {
      id: 'memory.no-clear-swap',
      title: 'no swap in clear',
      present: 'guest memory never reaches a disk in clear (A4)',
      missing:
        'memory of the host’s programs can lie on a disk in clear (A4); machines are kept out where control groups account for swap',
      hint: 'swapoff -a, or put swap on dm-crypt with a random key (crypttab: swap … /dev/urandom swap)',
      look: lookAtSwap,
    },
    {
      id: 'disk.encrypted-state',
      title: 'state directory on an encrypted disk',
      present: 'a stolen disk (A4) shows nothing of what Ringwall keeps',
      missing:
        'a stolen disk (A4) shows names and sizes of machines, and the host’s own keys; disks and TPM states are encrypted on their own',
      hint: 'put the state directory on LUKS (cryptsetup luksFormat)',
      look: (host) => lookAtStateDir(host, stateDir),
    },
  ];
}

async function lookAtSwap(host: HostView): Promise<Look> {
  const text = await host.text('/proc/swaps');
  if (text === undefined) return { present: true, seen: 'no swap in this kernel' };
  const names = text
    .split('\n')
    .slice(1)
    .flatMap((line) => line.split(/\s+/)[0] || []);
  if (names.length === 0) return { present: true, seen: 'no swap' };
  const clear: string[] = [];
  for (const name of names) {
    const device = /^\/dev\/(?:mapper\/)?([\w-]+)$/.exec(name)?.[1];
    // zram stays in memory.
    if (device?.startsWith('zram') === true) continue;
    if (device === undefined || !(await isEncrypted(host, `/sys/class/block/${device}`))) clear.push(name);
  }
  return {
    present: clear.length === 0,
    seen: clear.length === 0 ? `${names.join(', ')}: encrypted or in memory` : `in clear: ${clear.join(', ')}`,
  };
}

async function lookAtStateDir(host: HostView, stateDir: string): Promise<Look> {
  const text = (await host.text('/proc/self/mountinfo')) ?? '';
  const inside = (point: string): boolean => point === '/' || stateDir === point || stateDir.startsWith(`${point}/`);
  const mount = parseMountinfo(text)
    .filter(({ point }) => inside(point))
    .toSorted((a, b) => a.point.length - b.point.length)
    .at(-1);
  if (mount === undefined) return { present: undefined, seen: 'no mount found' };
  if (mount.type === 'tmpfs') return { present: true, seen: 'in memory (tmpfs)' };
  if (mount.device.startsWith('0:'))
    return { present: undefined, seen: `${mount.point} is ${mount.type}, whose disks are not visible here` };
  const encrypted = await isEncrypted(host, `/sys/dev/block/${mount.device}`);
  return {
    present: encrypted,
    seen: `${mount.point} (${mount.type}) on ${encrypted ? 'dm-crypt' : 'a disk in clear, as far as the host shows'}`,
  };
}

/** Whether this block device is dm-crypt, or lies on nothing but devices that are. */
async function isEncrypted(host: HostView, device: string, depth: number = DEVICE_DEPTH): Promise<boolean> {
  if (((await host.text(`${device}/dm/uuid`)) ?? '').startsWith('CRYPT-')) return true;
  const below = await host.names(`${device}/slaves`);
  if (below.length === 0 || depth === 0) return false;
  const states = await Promise.all(below.map((name) => isEncrypted(host, `/sys/class/block/${name}`, depth - 1)));
  return states.every(Boolean);
}
