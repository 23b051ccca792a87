// The disk of a machine of this host, which `machine:NAME` names in the place of an image. Its guest writes it, header and all:
// it is read as what it is, a raw disk, so that no header that a guest puts there makes us open another file.
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api/errors';
import { MACHINE_ID } from '@ringwall/api/ids';
import type { Invocation } from '../invocation.ts';

const PREFIX = 'machine:';
/** In which nothing has the disk open, or will have it soon. */
const PHASES_AT_REST: readonly string[] = ['stopped', 'failed'];

export interface NamedDisk {
  readonly path: string;
  /** What the disk is, where that is known; else its content decides. */
  readonly format: 'raw' | undefined;
  /** What a reader must know beside what is read. */
  readonly notes: readonly string[];
}

/** The file that a word of the command line means. Throws `RingwallError` for a machine that there is not. */
export async function findNamedDisk(invocation: Invocation, word: string): Promise<NamedDisk> {
  if (!word.startsWith(PREFIX)) return { path: word, format: undefined, notes: [] };
  const machine = word.slice(PREFIX.length);
  const { machine: found } = await invocation.withApi((api) => api.call('showMachine', { params: { machine } }));
  const { id, name, status } = found;
  const isAtRest = PHASES_AT_REST.includes(status.phase);
  return {
    path: plainFile(machineDiskPath(invocation.paths.state, id), name),
    format: 'raw',
    notes: [
      ...(isAtRest
        ? []
        : [
            `${name} is ${status.phase}: its guest writes while this is read. What it has not written back is missing, and what it writes now may be torn.`,
          ]),
      ...(invocation.values.has('key-file')
        ? []
        : [
            `The key of ${name} is released to its attested guest alone: without it, its header is all that anybody sees.`,
          ]),
    ],
  };
}

/** Where the warden puts it (control/warden/layout.ts). */
export function machineDiskPath(state: string, id: string): string {
  // Whoever runs this may read more than ringwalld, which gives the id.
  if (!MACHINE_ID.test(id)) throw new RingwallError('internal', 'ringwalld gives a machine an id that is none');
  return join(state, 'machines', id, 'disk.img');
}

/** Its directory belongs to the jail of the machine: a link in it would lead wherever an escaped machine wants. */
function plainFile(path: string, name: string): string {
  const status = statusOf(path);
  if (status === undefined) {
    throw new RingwallError('host-lacks', `the disk of ${name} may not be read, or is not there: ${path}`, {
      hint: 'ask as root, on the host that has the machine',
    });
  }
  if (status.isFile()) return path;
  throw new RingwallError('image-failed', `the disk of ${name} is no plain file: ${path}`, {
    hint: 'something has replaced it: nothing of it was read',
  });
}

function statusOf(path: string): ReturnType<typeof lstatSync> {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
