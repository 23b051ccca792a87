// The sockets of a VMM, and the streams through them. They lie in a directory that the VMM's uid may write to: an escaped
// guest could put a link to another machine's socket there, and have root speak to that one in its place. So the kind
// and the owner are checked on the very object that is then connected to.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { RingwallError } from '@ringwall/api';
import { isErrno } from '../files/index.ts';

/** Of linux/fcntl.h: a descriptor that names a file without opening it. */
const O_PATH = 0o10000000;

/** How long QEMU may take to accept a connection: it does so at once unless another holder is on the line. */
const CONNECT_TIMEOUT_MS = 5_000;

export interface VmmSocket extends AsyncDisposable {
  /** Leads to this very socket for as long as this is open, and is short, however long the real path is. */
  readonly path: string;
}

export async function openVmmSocket(path: string, ownerUid: number): Promise<VmmSocket> {
  const handle = await open(path, O_PATH | constants.O_NOFOLLOW).catch((error: unknown) => {
    throw isErrno(error, 'ENOENT') ? gone(error) : error;
  });
  const seen = await handle.stat();
  if (seen.isSocket() && seen.uid === ownerUid) {
    return { path: `/proc/self/fd/${handle.fd}`, [Symbol.asyncDispose]: () => handle.close() };
  }
  await handle.close();
  throw new RingwallError('conflict', `${path} is not the socket that the VMM was given`, {
    hint: 'somebody replaced it: treat this machine as broken into',
  });
}

export async function connectToVmm(path: string, ownerUid: number): Promise<Socket> {
  await using checked = await openVmmSocket(path, ownerUid);
  const socket = connect({ path: checked.path });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (error) => reject(gone(error)));
      socket.setTimeout(CONNECT_TIMEOUT_MS, () => reject(gone(new Error('no answer'))));
    });
  } catch (error) {
    socket.destroy();
    throw error;
  }
  socket.setTimeout(0);
  return socket;
}

/** Joins two streams until either ends; then both are gone. Resolves then, and never rejects. */
export function joinStreams(left: Duplex, right: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      left.destroy();
      right.destroy();
      resolve();
    };
    for (const stream of [left, right]) {
      stream.on('error', end);
      stream.on('close', end);
    }
    // `pipe` holds back the faster side: neither a guest nor a reader can make us hold more than the streams' buffers.
    left.pipe(right);
    right.pipe(left);
    if (left.destroyed || right.destroyed) end();
  });
}

const STREAMS = ['console', 'attest'] as const;

/**
 * One holder for each stream of each machine. QEMU's character devices speak to one peer at a time; a second console
 * would wait unseen in the backlog, and fan-out would put two keyboards on one shell. So the second is told.
 */
export class StreamHolders {
  readonly #held = new Map<string, Socket | undefined>();
  /** Machines that nothing may reach now, and what leads to them. */
  readonly #still = new Map<string, Set<Socket>>();

  claim(machine: string, stream: (typeof STREAMS)[number]): StreamClaim {
    const key = `${machine} ${stream}`;
    if (this.#held.has(key)) {
      throw new RingwallError('conflict', `the ${stream} of this machine is open elsewhere`, {
        hint: stream === 'console' ? 'detach the other console first' : 'wait until its attestation ends',
      });
    }
    this.#held.set(key, undefined);
    return {
      carries: (vmm) => {
        this.#held.set(key, vmm);
        this.#holdBack(machine, vmm);
      },
      [Symbol.dispose]: () => void this.#held.delete(key),
    };
  }

  /** Until this is disposed of, what is on its way to a machine waits here: nothing goes into one that stands still to be saved. */
  hold(machine: string): Disposable {
    const corked = new Set<Socket>();
    this.#still.set(machine, corked);
    for (const stream of STREAMS) this.#holdBack(machine, this.#held.get(`${machine} ${stream}`));
    return {
      [Symbol.dispose]: () => {
        this.#still.delete(machine);
        for (const vmm of corked) vmm.uncork();
      },
    };
  }

  #holdBack(machine: string, vmm: Socket | undefined): void {
    const corked = this.#still.get(machine);
    if (corked === undefined || vmm === undefined || corked.has(vmm)) return;
    vmm.cork();
    corked.add(vmm);
  }
}

export interface StreamClaim extends Disposable {
  /** What leads to the VMM. */
  readonly carries: (vmm: Socket) => void;
}

function gone(cause: unknown): RingwallError {
  return new RingwallError('vmm-failed', 'the VMM does not take connections', {
    hint: 'see whether the machine still runs: ringwall show NAME',
    cause,
  });
}
