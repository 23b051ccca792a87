// The broker's answers to ringwalld: it registers machines, is told what each boot must measure, hands over the guest's
// stream to an attestation, and says what came of it. It never hands a key to ringwalld: keys go to TPMs only.
import { join } from 'node:path';
import type { BrokerRequest, BrokerResponse } from '@ringwall/api/broker';
import { RingwallError, type BootId, type MachineId } from '@ringwall/api';
import { toHex } from '@ringwall/bytes';
import { encodeProof, encodeReference, isLearned, type Erasure, type Freshness } from '@ringwall/evidence';
import { makePrivateDirectory } from '../files/index.ts';
import { openRootKey, openSigningKey, type Secret, type SigningKey } from '../keys/index.ts';
import type { CallContext } from '../rpc/index.ts';
import { runAttestation } from './attest.ts';
import { AuditLog } from './audit-log.ts';
import { DiskKeys } from './disk-keys.ts';
import { Erasures } from './erasures.ts';
import { explainMachine } from './explain.ts';
import { registerMachine } from './register.ts';
import {
  acceptReference,
  diffReference,
  listReferences,
  readReference,
  tryReference,
  type ReferenceParts,
} from './reference-requests.ts';
import { wasLearned } from './learned.ts';
import { References } from './references.ts';
import { idsOf, isWorthAnEntry } from './request-audit.ts';
import { endRotation, ROOT_KEY_FILE, rotateRoot, SIGNING_KEY_FILE } from './root-rotation.ts';
import type { MachineRecord } from './machine-records.ts';
import { earOf, proofWithWhatRan, type ProofParts } from './shown-proofs.ts';
import { BrokerStore } from './store.ts';
import { storedReference } from './stored-texts.ts';
import { WatchBook } from './watch-book.ts';
import { beginSnapshot, confirmRestore, finishSnapshot, forgetSnapshot, releaseSnapshotKey } from './snapshot-keys.ts';
import { cloneMachine, holdTemplate } from './snapshot-clones.ts';
import { changePerson, listApprovals, readApproval, requireApproval, signApproval } from './approvals.ts';
import { exportSnapshot, readRecipient, type Transfers } from './snapshot-export.ts';
import { beginImport, finishImport } from './snapshot-import.ts';
import { releaseDiskKey } from './vmm-keys.ts';
import { HostBook } from './host-book.ts';
import { addImageFiles, expectWatch, readmitMachine, readWatch, readWatches } from './watch-requests.ts';

export interface BrokerOptions {
  readonly now?: () => Date;
  readonly monotonicMs?: () => number;
}

export class Broker implements Disposable {
  readonly #store: BrokerStore;
  readonly #references: References;
  readonly #directory: string;
  readonly #root: Secret;
  readonly #keys: DiskKeys;
  readonly #vmmKeys: Transfers;
  readonly #erasures: Erasures;
  readonly #signer: SigningKey;
  readonly #audit: AuditLog;
  readonly #now: () => Date;
  readonly #monotonicMs: () => number;
  readonly #watches: WatchBook;
  readonly #hosts: HostBook;
  /** One attestation a machine: a newer one cuts off the older. */
  readonly #sessions = new Map<MachineId, AbortController>();

  private constructor(
    parts: { directory: string; store: BrokerStore; root: Secret; signer: SigningKey; audit: AuditLog },
    options: BrokerOptions,
  ) {
    this.#store = parts.store;
    this.#directory = parts.directory;
    this.#root = parts.root;
    this.#keys = new DiskKeys(parts.store, parts.root);
    this.#signer = parts.signer;
    this.#audit = parts.audit;
    this.#now = options.now ?? ((): Date => new Date());
    this.#monotonicMs = options.monotonicMs ?? ((): number => performance.now());
    this.#references = new References(parts.store.references, this.#now);
    this.#erasures = new Erasures({
      store: this.#store,
      root: parts.root,
      keys: this.#keys,
      signer: this.#signer,
      now: this.#now,
    });
    this.#watches = new WatchBook({
      store: parts.store.watches,
      audit: parts.audit,
      now: this.#now,
      monotonicMs: this.#monotonicMs,
      freshness: () => this.#freshness(),
    });
    const { store, root } = parts;
    this.#vmmKeys = { store, root, watches: this.#watches, keys: this.#keys, signer: this.#signer, now: this.#now };
    this.#hosts = new HostBook({
      store: parts.store.hosts,
      audit: parts.audit,
      policy: () => this.#references.policy,
      now: this.#now,
    });
  }

  /** Opens the broker whose state is in `directory` (0700, this user's own), or makes it. */
  static async open(directory: string, options: BrokerOptions = {}): Promise<Broker> {
    await makePrivateDirectory(directory);
    // The store first: its lock keeps a second broker from making a second root key.
    const store = BrokerStore.open(join(directory, 'broker.db'));
    try {
      const isEmpty = store.countMachines() === 0 && store.vmmKeys.count() === 0;
      await endRotation(directory, store);
      const root = await openRootKey(join(directory, ROOT_KEY_FILE), () => isEmpty);
      const signer = await openSigningKey(join(directory, SIGNING_KEY_FILE), root, {
        id: 'broker',
        mayCreate: isEmpty,
      });
      const audit = new AuditLog(join(directory, 'audit.log'));
      return new Broker({ directory, store, root, signer, audit }, options);
    } catch (error) {
      store[Symbol.dispose]();
      throw error;
    }
  }

  /** X and Y, 128 hex digits: what a machine's command line must name. */
  get publicKey(): string {
    return toHex(this.#signer.publicKey);
  }

  async handle(request: BrokerRequest, call: CallContext): Promise<unknown> {
    try {
      const result = await this.#dispatch(request, call);
      if (isWorthAnEntry(request.op)) this.#audit.write({ what: request.op, ...idsOf(request), outcome: 'ok' });
      return result;
    } catch (error) {
      if (error instanceof RingwallError) {
        this.#audit.write({ what: request.op, ...idsOf(request), outcome: error.code, reasons: [error.message] });
      }
      throw error;
    }
  }

  /** For errors that are defects: the peer learns nothing of them, the audit log all. */
  defect(error: unknown, where: string): void {
    this.#audit.defect(error, where);
  }

  [Symbol.dispose](): void {
    for (const session of this.#sessions.values()) session.abort();
    this.#watches[Symbol.dispose]();
    this.#store[Symbol.dispose]();
    this.#keys[Symbol.dispose]();
    this.#audit[Symbol.dispose]();
  }

  async #dispatch(request: BrokerRequest, call: CallContext): Promise<unknown> {
    switch (request.op) {
      case 'status':
        return this.#status();
      case 'register-machine':
        return registerMachine({ store: this.#store, keys: this.#keys, now: this.#now }, request);
      case 'expect-boot':
        return this.#expectBoot(request.machine, request.boot, request.reference);
      case 'open-session':
        return this.#openSession(request.machine, request.boot, call);
      case 'read-verdict':
        return this.#readVerdict(request.machine, request.boot);
      case 'read-proof':
        this.#machine(request.machine);
        return { proof: JSON.parse(encodeProof(await proofWithWhatRan(this.#proofParts(), request.machine))) };
      case 'expect-watch':
        return expectWatch(this.#watches, this.#store, request);
      case 'add-image-files':
        return addImageFiles(this.#watches, request);
      case 'read-watches':
        return readWatches(this.#watches, request);
      case 'read-watch':
        this.#machine(request.machine);
        return readWatch(this.#watches, request);
      case 'readmit-machine':
        this.#machine(request.machine);
        return readmitMachine(this.#watches, request);
      case 'read-ear':
        this.#machine(request.machine);
        return { token: await earOf(this.#proofParts(), request.machine) };
      case 'explain-machine':
        this.#machine(request.machine);
        return explainMachine(this.#parts(), request.machine);
      case 'list-references':
        return listReferences(this.#references);
      case 'propose-reference':
        await this.#references.propose(readReference(request.reference));
        return {};
      case 'diff-reference':
        return diffReference(this.#parts(), request.subject);
      case 'try-reference':
        return tryReference(this.#parts(), request.subject);
      case 'accept-reference':
        return acceptReference(this.#parts(), request.subject);
      case 'ask-host':
        return this.#hosts.ask(this.#machine(request.machine), request.identity);
      case 'judge-host':
        return this.#hosts.judge(request);
      case 'read-erasure':
        return { erasure: await this.#erasures.read(request.kind, request.subject) };
      case 'rotate-root-key':
        return { keys: await rotateRoot(this.#directory, this.#store, this.#root) };
      case 'rotate-key':
        return { version: this.#keys.rotate(this.#machine(request.machine)) };
      case 'release-disk-key':
        return releaseDiskKey(this.#vmmKeys, request);
      case 'forget-disk':
        await this.#erasures.eraseDisk(request.disk, request.name);
        return {};
      case 'begin-snapshot':
        return beginSnapshot(this.#vmmKeys, request.request);
      case 'finish-snapshot':
        return finishSnapshot(this.#store, request);
      case 'release-snapshot-key':
        return releaseSnapshotKey(this.#vmmKeys, request);
      case 'confirm-restore':
        return confirmRestore(this.#vmmKeys, request.snapshot);
      case 'hold-template':
        return holdTemplate(this.#vmmKeys, request.request);
      case 'clone-machine':
        return cloneMachine({ ...this.#vmmKeys, keys: this.#keys }, request.request, 'clone');
      case 'clone-live':
        return cloneMachine({ ...this.#vmmKeys, keys: this.#keys }, request.request, 'live');
      case 'forget-snapshot':
        return forgetSnapshot(this.#store, request.snapshot);
      case 'list-approvals':
        return listApprovals(this.#vmmKeys);
      case 'change-person':
        return changePerson(this.#vmmKeys, request);
      case 'require-approval':
        return requireApproval(this.#vmmKeys, request);
      case 'read-approval':
        return readApproval(this.#vmmKeys, request.approval);
      case 'sign-approval':
        return signApproval(this.#vmmKeys, request);
      case 'read-recipient':
        return readRecipient(this.#vmmKeys);
      case 'export-snapshot':
        return exportSnapshot(this.#vmmKeys, request);
      case 'begin-import':
        return beginImport(this.#vmmKeys, request);
      case 'finish-import':
        return finishImport(this.#vmmKeys, request);
      case 'check-forget':
        this.#erasures.refuseLent(request.machine);
        return {};
      case 'forget-machine':
      default:
        return this.#forget(request.machine, request.keeps);
    }
  }

  #status(): BrokerResponse<'status'> {
    return { pid: process.pid, key: this.publicKey, machines: this.#store.countMachines() };
  }

  async #expectBoot(id: MachineId, boot: BootId, value: unknown): Promise<BrokerResponse<'expect-boot'>> {
    this.#machine(id);
    const proposed = readReference(value);
    const reference = encodeReference(proposed);
    if (!isLearned(proposed.for.image)) await this.#references.propose(proposed);
    const known = this.#store.readBoot(id, boot);
    if (known === undefined) {
      this.#store.expectBoot(id, boot, reference);
      // Whoever still talks for the boot before is late.
      this.#sessions.get(id)?.abort();
    } else if (storedReference(known.reference).id !== proposed.id) {
      throw new RingwallError('conflict', 'this boot is expected to measure something else', {
        hint: 'expectations do not change within a boot: start the machine anew',
      });
    }
    return {};
  }

  #openSession(id: MachineId, boot: BootId, call: CallContext): BrokerResponse<'open-session'> {
    const machine = this.#machine(id);
    if (this.#store.readBoot(id, boot) === undefined) throw unknownBoot(id, boot);
    if (machine.currentBoot !== boot) {
      throw new RingwallError('conflict', `${id} has been started again since: an earlier boot attests no more`, {
        hint: 'stop the machine that still runs in the earlier boot',
      });
    }
    call.upgrade(async (stream) => {
      this.#sessions.get(id)?.abort();
      const session = new AbortController();
      this.#sessions.set(id, session);
      const dependencies = {
        store: this.#store,
        references: this.#references,
        keys: this.#keys,
        signer: this.#signer,
        audit: this.#audit,
        watches: this.#watches,
        hosts: this.#hosts,
        now: this.#now,
        monotonicMs: this.#monotonicMs,
      };
      try {
        await runAttestation(stream, { machine: id, boot }, dependencies, session.signal);
      } finally {
        if (this.#sessions.get(id) === session) this.#sessions.delete(id);
      }
    });
    return {};
  }

  #readVerdict(id: MachineId, boot: BootId): BrokerResponse<'read-verdict'> {
    this.#machine(id);
    const record = this.#store.readBoot(id, boot);
    if (record === undefined) throw unknownBoot(id, boot);
    const { state, reasons, proven, at } = record;
    const learned = wasLearned(record) ? ({ learned: true } as const) : {};
    return { state, reasons: [...reasons], proven: [...proven], ...(at === undefined ? {} : { at }), ...learned };
  }

  #freshness(): Freshness | undefined {
    const { policy } = this.#references;
    return policy.version === 2 ? policy.freshness : undefined;
  }

  #parts(): ReferenceParts {
    return { store: this.#store, references: this.#references, hosts: this.#hosts, now: this.#now };
  }

  #proofParts(): ProofParts {
    return { store: this.#store, watches: this.#watches, signer: this.#signer, now: this.#now };
  }

  async #forget(id: MachineId, keeps: Erasure['keeps'] = []): Promise<BrokerResponse<'forget-machine'>> {
    this.#sessions.get(id)?.abort();
    this.#watches.forget(id);
    const machine = this.#store.readMachine(id);
    if (machine !== undefined) await this.#erasures.erase(machine, keeps);
    return {};
  }

  #machine(id: MachineId): MachineRecord {
    const machine = this.#store.readMachine(id);
    if (machine === undefined) throw new RingwallError('not-found', `the broker knows no machine ${id}`);
    return machine;
  }
}

function unknownBoot(id: MachineId, boot: BootId): RingwallError {
  return new RingwallError('not-found', `the broker knows no boot ${boot} of ${id}`, {
    hint: 'it must be told what the boot has to measure first',
  });
}
