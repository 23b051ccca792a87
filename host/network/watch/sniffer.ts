// Listens to packets in a network's namespace: on a machine's cable, or to what the kernel logs of those that it drops. tcpdump does it,
// in a jail: it sees itself and its libraries, opens what it listens on, and goes on under a uid of its own without a right. It
// interprets no packet; it writes them down (pcap), and whoever reads that knows that attackers wrote it.
import { PassThrough, type Readable } from 'node:stream';
import { RingwallError } from '@ringwall/api/errors';
import { LOG_GROUPS } from '@ringwall/netpolicy';
import { FIRST_CHILD_FD, type Run } from '../../exec/index.ts';
import { readClosure, seccompFilter, UidLeases } from '../../jail/index.ts';
import type { NamespaceRun } from '../namespace.ts';

const TCPDUMP = '/usr/bin/tcpdump';
const PRLIMIT = '/usr/bin/prlimit';
const BWRAP = '/usr/bin/bwrap';
/** Whom it becomes, by the only name that its jail knows. */
const NAME = 'sniffer';
/** What bwrap leaves it to open with; becoming somebody else takes all of it. */
const CAPABILITIES = ['CAP_NET_RAW', 'CAP_NET_ADMIN', 'CAP_SETUID', 'CAP_SETGID'];
const TASKS_BYTES = { memory: 512 * 1024 * 1024, files: 64 } as const;
/** pcap's own header comes as soon as it listens. */
const START_TIMEOUT_MS = 45_000;
/** What may wait for a reader that is slower than the machine sends; more ends it, since nothing may be left out unsaid. */
const MAX_BEHIND_BYTES: number = 8 * 1024 * 1024;
/** What a person types. */
export const MAX_FILTER_CHARACTERS = 500;
const ERROR_CHARACTERS = 200;

export interface SniffOrder {
  /** A machine's interface, or all that is dropped in the network. */
  readonly on: { readonly interface: string } | 'refused';
  /** As pcap-filter(7) has it; one argument of tcpdump, which compiles it. */
  readonly filter?: string;
  readonly seconds: number;
  readonly bytes: number;
}

/** Resolves when it listens, with the pcap as it comes. Destroying that ends it; it ends by itself after its time or bytes. */
export async function sniff(run: Run, inside: NamespaceRun, order: SniffOrder): Promise<Readable> {
  const files = await readClosure(run, [TCPDUMP]);
  const leases = new UidLeases();
  const { uid } = leases.acquire({ purpose: 'sniffer' });
  const out = new PassThrough({ highWaterMark: MAX_BEHIND_BYTES });
  const stop = new AbortController();
  out.once('close', () => stop.abort());
  let left = order.bytes;
  const heard = Promise.withResolvers<void>();
  const onOutput = (chunk: Uint8Array): void => {
    if (out.writableEnded || out.destroyed) return;
    heard.resolve();
    const fits = chunk.subarray(0, left);
    left -= fits.length;
    if (!out.write(fits)) {
      out.destroy(new RingwallError('too-large', 'packets come faster than they are read'));
    } else if (left === 0) {
      out.end();
      stop.abort();
    }
  };
  const ended = inside(compileSniffer(order, files), {
    descriptors: [seccompFilter('sniffer'), identity(uid)],
    timeoutMs: order.seconds * 1_000,
    maxOutputBytes: Number.MAX_SAFE_INTEGER,
    onOutput,
    signal: stop.signal,
  });
  const settle = async (): Promise<void> => {
    try {
      const { code, stderr } = await ended;
      const words = stderr.toString('utf8').replaceAll(/\s+/g, ' ').slice(0, ERROR_CHARACTERS);
      if (code !== 0) heard.reject(refusal(words));
    } catch (error) {
      // Its time is over, or nobody reads any more.
      heard.reject(error);
    } finally {
      out.end();
      leases.release(uid);
    }
  };
  void settle();
  const late = setTimeout(
    () => heard.reject(new RingwallError('timeout', 'the capture did not begin')),
    START_TIMEOUT_MS,
  );
  try {
    await heard.promise;
  } catch (error) {
    out.destroy();
    throw error;
  } finally {
    clearTimeout(late);
  }
  return out;
}

/** The kernel lets one alone listen to a group of its log. */
function refusal(words: string): RingwallError {
  if (words.includes("Can't listen on group")) {
    return new RingwallError('conflict', 'somebody else watches this network already', {
      hint: 'one at a time can: end the other ringwall net watch first',
    });
  }
  return new RingwallError('bad-request', `nothing can be captured: ${words}`);
}

/** Pure. */
export function compileSniffer(
  { on, filter }: SniffOrder,
  files: readonly { readonly source: string; readonly target: string }[],
): string[] {
  if (filter !== undefined && (filter.length > MAX_FILTER_CHARACTERS || !/^[\x20-\x7e]+$/.test(filter))) {
    throw new RingwallError('bad-request', `a filter is at most ${MAX_FILTER_CHARACTERS} plain characters`);
  }
  const both = (value: number): string => `${String(value)}:${String(value)}`;
  // No shorter packets: libpcap would have no room for what the kernel hands it of the log at once, and lose the rest.
  const source = on === 'refused' ? `nflog:${String(LOG_GROUPS.refused)}` : on.interface;
  return [
    PRLIMIT,
    ...['--core=1:1', `--as=${both(TASKS_BYTES.memory)}`, `--nofile=${both(TASKS_BYTES.files)}`, '--'],
    BWRAP,
    ...['--unshare-ipc', '--unshare-pid', '--unshare-uts', '--unshare-cgroup-try', '--die-with-parent', '--clearenv'],
    ...['--cap-drop', 'ALL', ...CAPABILITIES.flatMap((capability) => ['--cap-add', capability])],
    ...['--seccomp', String(FIRST_CHILD_FD)],
    ...files.flatMap((file) => ['--ro-bind', file.source, file.target]),
    ...['--dev-bind', '/dev/null', '/dev/null'],
    ...['--ro-bind-data', String(FIRST_CHILD_FD + 1), '/etc/passwd', '--remount-ro', '/', '--chdir', '/', '--'],
    ...[TCPDUMP, '-Z', NAME, '-p', '-n', '-U', '-i', source, '-w', '-', '--'],
    ...(filter === undefined ? [] : [filter]),
  ];
}

function identity(uid: number): Uint8Array {
  return Buffer.from(`${NAME}:x:${String(uid)}:${String(uid)}::/:/bin/false\n`);
}
