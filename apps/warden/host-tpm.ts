// Joins the warden to the host's own TPM and logs, and to the files that it starts machines with.
import { RingwallError } from '@ringwall/api';
import { HOST_EVIDENCE_LIMITS_BYTES, signHostReference, type Signer } from '@ringwall/evidence';
import type { HostTpmPart, Layout } from '@ringwall/control/warden';
import {
  answerAsHost,
  describeHostFiles,
  findHostTpm,
  readBounded,
  readHostIdentity,
  type HostTpmConfig,
} from '@ringwall/host/attest';
import { run } from '@ringwall/host/exec';
import { ownWord } from './own-word.ts';

const PROGRAMS = ['/usr/bin/qemu-system-x86_64', '/usr/bin/swtpm'];

export function makeHostTpmPart(layout: Layout, referenceKey: Signer): HostTpmPart {
  const found = async (): Promise<HostTpmConfig> => {
    const config = await findHostTpm(layout.hostTpm);
    if (config !== undefined) return config;
    throw new RingwallError('host-lacks', 'this host has no TPM of its own', {
      hint: 'proofs say nothing of such a host; docs/protocols/host-evidence.md',
    });
  };
  // One at a time: a TPM without a resource manager has three slots.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.catch(() => undefined).then(work);
    last = turn;
    return turn;
  };
  return {
    identity: async () => {
      const config = await findHostTpm(layout.hostTpm);
      return config === undefined ? undefined : inTurn(() => readHostIdentity(config));
    },
    answer: async (question) => {
      const config = await found();
      return inTurn(() => answerAsHost(config, question));
    },
    describe: async (everything) => {
      const { eventLog, imaLog } = await found();
      const files = await describeHostFiles({
        run,
        programs: PROGRAMS,
        node: process.execPath,
        warden: process.argv[1] ?? '',
        imaLog: await readBounded(imaLog, HOST_EVIDENCE_LIMITS_BYTES.imaLog),
        everything,
      });
      return { ...files, eventLog: await readBounded(eventLog, HOST_EVIDENCE_LIMITS_BYTES.eventLog) };
    },
    sign: (content) => signHostReference({ ...content, ...ownWord() }, referenceKey),
  };
}
