// A broker in memory: it answers as the real one does, and can be told to be away, to refuse or to fall silent.
/* oxlint-disable typescript/no-unsafe-type-assertion -- an answer's type hangs on its request's op, which a switch does
   not tell the compiler; the rpc's own tests hold the real answers to their schemas */
import { type Duplex, duplexPair } from 'node:stream';
import { type DiskId, type MachineId, type ReferenceSubject, RingwallError, type SnapshotId } from '@ringwall/api';
import type { BrokerRequest, BrokerResponse } from '@ringwall/api/broker';
import type { DiskKeyRequest } from '@ringwall/api/disks';
import type { StrayFile, WatchReport } from '@ringwall/api/watch';
import type { BrokerClient } from '../clients.ts';
import { AWAY_HINT } from './fake-warden.ts';

type VerdictState = BrokerResponse<'read-verdict'>['state'];

export class FakeBroker implements BrokerClient {
  readonly registered: Set<MachineId> = new Set();
  /** Whose key a clone has that was never started. */
  readonly lenders: Set<MachineId> = new Set();
  readonly expected: Map<string, unknown> = new Map();
  readonly verdicts: Map<string, VerdictState> = new Map();
  /** The root of each that is whole. */
  readonly snapshots: Map<string, string | undefined> = new Map();
  readonly requests: BrokerRequest[] = [];
  /** What goes with an export. */
  ticket = '{}';
  refusesImports = false;
  /** Snapshots of a chain that comes, which it has already. */
  readonly here: Set<SnapshotId> = new Set();
  /** Machines that came; undefined where it has no room for them. */
  imported: Set<MachineId> | undefined = new Set();
  away = false;
  /** What comes of it when a guest speaks. */
  outcome: VerdictState = 'unlocked';
  reasons: string[] = ['PCR 4, event 17 (kernel): expected aa, measured bb'];
  /** What is refused is learned: nothing was accepted for it. */
  learns = false;
  sessions: Duplex[] = [];
  /** Requests for keys of disks that were answered. */
  readonly released: DiskKeyRequest[] = [];
  /** Disks whose keys it has destroyed. */
  readonly erased: Set<DiskId> = new Set();
  /** How each watched boot stands. */
  readonly watches: Map<string, WatchReport> = new Map();
  strays: StrayFile[] = [];
  readonly quarantined: Set<MachineId> = new Set();
  /** Lists of files that were sent, by their digest. */
  readonly files: Map<string, string> = new Map();

  readonly call: BrokerClient['call'] = (request) => {
    try {
      return Promise.resolve(this.#answer(request) as never);
    } catch (error) {
      return Promise.reject(error);
    }
  };

  readonly openStream: BrokerClient['openStream'] = async (request) => {
    this.#receive(request);
    if (request.op !== 'open-session') throw new Error('not a stream');
    if (!this.expected.has(request.boot)) throw new RingwallError('not-found', 'no such boot is expected');
    const [ours, theirs] = duplexPair();
    this.sessions.push(theirs);
    theirs.on('error', () => {});
    theirs.on('end', () => theirs.end());
    theirs.on('data', () => {
      this.verdicts.set(request.boot, this.outcome);
      // Nothing is left to say then.
      if (this.outcome === 'refused' || (this.outcome === 'unlocked' && !this.watches.has(request.boot))) theirs.end();
    });
    return { result: {} as never, stream: ours };
  };

  /** Killed and started again: sessions break, and what was not written is forgotten. */
  restart(): void {
    this.away = false;
    this.expected.clear();
    for (const session of this.sessions.splice(0)) session.end();
  }

  count(op: BrokerRequest['op']): number {
    return this.requests.filter((request) => request.op === op).length;
  }

  #receive(request: BrokerRequest): void {
    if (this.away) throw new RingwallError('broker-unavailable', 'the broker does not run', { hint: AWAY_HINT });
    this.requests.push(request);
  }

  #answer(request: BrokerRequest): BrokerResponse<BrokerRequest['op']> {
    this.#receive(request);
    switch (request.op) {
      case 'status':
        return { pid: process.pid, key: 'ab'.repeat(64), machines: this.registered.size };
      case 'register-machine':
        this.registered.add(request.machine);
        return {};
      case 'expect-boot':
        this.expected.set(request.boot, request.reference);
        return {};
      case 'open-session':
        return {};
      case 'read-verdict': {
        if (!this.expected.has(request.boot)) throw new RingwallError('not-found', 'no such boot is expected');
        const state = this.verdicts.get(request.boot) ?? 'pending';
        const learned = this.learns && state === 'refused' ? ({ learned: true } as const) : {};
        const judged = state === 'refused' || state === 'failed';
        return {
          state,
          reasons: judged ? this.reasons : [],
          proven: state === 'unlocked' || state === 'accepted' ? ['its kernel is the one of hello'] : [],
          ...learned,
        };
      }
      case 'read-proof':
        if (this.verdicts.size === 0) throw new RingwallError('not-found', 'no proof of this machine yet');
        return { proof: { format: 'ringwall-proof/1' } };
      case 'expect-watch':
        this.watches.set(request.boot, {
          mode: request.mode,
          intervalMs: request.intervalMs,
          ...{ state: 'awaited', reasons: [], entries: 0, strays: 0, provenAgoMs: 0 },
        });
        return { wantsFiles: !this.files.has(request.image.files) };
      case 'release-disk-key':
        if (this.erased.has(request.request.disk)) throw new RingwallError('not-found', 'the broker has no key of it');
        this.released.push(request.request);
        return { sealed: 'AAAA' };
      case 'forget-disk':
        return {};
      case 'begin-snapshot':
        this.snapshots.set(request.request.snapshot, undefined);
        return { sealed: 'AAAA', sequence: this.snapshots.size };
      case 'finish-snapshot':
        this.snapshots.set(request.snapshot, request.root);
        return {};
      case 'hold-template':
      case 'clone-live':
      case 'clone-machine':
      case 'release-snapshot-key': {
        const root = this.snapshots.get(request.request.snapshot);
        if (root === undefined) throw new RingwallError('conflict', 'it is not the newest state');
        return { sealed: 'AAAA', root };
      }
      case 'confirm-restore':
        return {};
      case 'list-approvals':
        return { people: [], machines: [], requests: [] };
      case 'change-person':
      case 'require-approval':
        return {};
      case 'read-approval':
      case 'sign-approval':
        throw new RingwallError('not-found', 'there is no such request');
      case 'read-recipient':
        return { file: '{"format":"ringwall-host-recipient/1"}\n' };
      case 'export-snapshot':
        return { ticket: this.ticket, head: request.head };
      case 'begin-import':
        if (this.refusesImports) throw new RingwallError('unauthorized', 'it is for another host');
        if (this.here.has(request.request.snapshot)) return { here: true };
        return { sealed: 'AAAA', head: request.head, ekCertificate: 'AAAA' };
      case 'finish-import':
        if (this.imported === undefined)
          throw new RingwallError('host-full', 'no room to write the store of the broker');
        this.imported.add(request.machine);
        return {};
      case 'forget-snapshot':
        this.snapshots.delete(request.snapshot);
        return {};
      case 'add-image-files': {
        const before = request.offset === 0 ? '' : (this.files.get(request.sha256) ?? '');
        this.files.set(request.sha256, before + Buffer.from(request.part, 'base64').toString());
        return {};
      }
      case 'read-watches':
        return {
          watches: request.boots.flatMap(({ machine, boot }) => {
            const report = this.watches.get(boot);
            return report === undefined ? [] : [{ machine, boot, report }];
          }),
        };
      case 'read-watch':
        return { files: this.strays };
      case 'readmit-machine':
        return { lifted: this.quarantined.delete(request.machine) };
      case 'read-erasure':
        throw new RingwallError('not-found', 'no such erasure');
      case 'rotate-root-key':
        return { keys: this.registered.size };
      case 'rotate-key':
        return { version: 2 };
      case 'check-forget':
        if (this.lenders.has(request.machine)) throw new RingwallError('conflict', 'a clone of it has its key');
        return {};
      case 'forget-machine':
        this.registered.delete(request.machine);
        return {};
      case 'propose-reference':
        return {};
      case 'list-references':
        return { references: [], signers: [] };
      case 'diff-reference':
        return { subject: subjectOf(request.subject), sentences: ['nothing changes'] };
      case 'try-reference':
        return { subject: subjectOf(request.subject), tried: [], left: 0 };
      case 'ask-host':
        return { wanted: false };
      case 'judge-host':
        return { outcome: 'refused', reasons: ['nobody was asked'] };
      case 'accept-reference':
        return { subject: subjectOf(request.subject), accepted: ['ref_1'], retired: [] };
      case 'read-ear':
        return { token: 'a.b.c' };
      case 'explain-machine': {
        const at = new Date(0).toISOString();
        return { boot: '0'.repeat(32), at, outcome: 'accepted', reasons: [], sentences: [], differences: [] };
      }
    }
    throw new Error('no such op');
  }
}

function subjectOf(subject: ReferenceSubject): string {
  return 'image' in subject ? subject.image : 'a file';
}
