// The hosts of this broker's machines: asked when a machine of theirs is to be judged and the policy demands that its host
// proves itself, and kept until the answer is too old. docs/protocols/host-evidence.md
import { RingwallError } from '@ringwall/api';
import type { BrokerRequest, BrokerResponse } from '@ringwall/api/broker';
import { equalBytes, fromHex, toHex } from '@ringwall/bytes';
import {
  checkHostReference,
  hostClockOf,
  hostIdOf,
  isEkOf,
  judgeHost,
  type HostEvidence,
  type HostLayer,
  type HostPolicy,
  type HostReference,
  type HostResult,
  type Policy,
  type Verified,
} from '@ringwall/evidence';
import { makeCredential, nameOf, parsePublic, type Credential } from '@ringwall/tpm';
import type { AuditLog } from './audit-log.ts';
import type { HostStore } from './host-store.ts';
import type { MachineRecord } from './machine-records.ts';

const NONCE_BYTES = 32;
const SECRET_BYTES = 32;
/** A host is asked when a machine of it starts; a relay that asks more often drops its own questions. */
const MAX_OPEN_QUESTIONS = 16;
/** A fleet's broker has a few hundred hosts; each keeps some megabytes at most. */
const MAX_KEPT = 256;
/** A quote and a log take seconds at most. */
const QUESTION_LIFE_MS = 60_000;

type Request<Op extends BrokerRequest['op']> = Extract<BrokerRequest, { readonly op: Op }>;
type Identity = NonNullable<Request<'ask-host'>['identity']>;

interface Question {
  readonly host: string;
  /** Of the machine for which the host was asked: what its evidence must vouch for. */
  readonly vtpmCa: Uint8Array;
  readonly identity: { readonly ekCertificate: Uint8Array; readonly akPublic: Uint8Array; readonly vtpmCa: Uint8Array };
  readonly secret: Uint8Array | undefined;
  readonly askedAt: Date;
}

interface Kept {
  readonly layer: HostLayer;
  readonly vtpmCa: Uint8Array;
  /** When it was sent: an answer that was refused is asked for again at the next start. */
  readonly accepted: boolean;
}

/** What a machine is judged with of its host. */
export interface HostOfMachine {
  readonly layer: HostLayer | undefined;
  readonly verified: Verified<HostEvidence> | undefined;
  /** Why there is no verified evidence though the policy demands it. */
  readonly reasons: readonly string[];
}

const UNDEMANDED: HostOfMachine = { layer: undefined, verified: undefined, reasons: [] };

export class HostBook {
  readonly #store: HostStore;
  readonly #audit: AuditLog;
  readonly #policy: () => Policy;
  readonly #now: () => Date;
  readonly #questions = new Map<string, Question>();
  readonly #kept = new Map<string, Kept>();
  readonly #lacks = new Map<string, string>();

  constructor(parts: {
    readonly store: HostStore;
    readonly audit: AuditLog;
    readonly policy: () => Policy;
    readonly now: () => Date;
  }) {
    this.#store = parts.store;
    this.#audit = parts.audit;
    this.#policy = parts.policy;
    this.#now = parts.now;
  }

  reference(host: string): HostReference | undefined {
    return this.#store.reference(host);
  }

  /** Somebody who saw this host says what it is, from now on. */
  async accept(reference: HostReference): Promise<void> {
    for (const answer of await checkHostReference(reference, this.#now())) {
      if (!answer.ok) throw new RingwallError('bad-request', answer.detail);
    }
    this.#store.accept(reference, this.#now());
  }

  /** Whether the machine's host is to prove itself, and, once it has said who it is, the question. */
  async ask(machine: MachineRecord, identity: Identity | undefined): Promise<BrokerResponse<'ask-host'>> {
    const policy = this.#hostPolicy();
    const host = await hostOf(machine);
    if (policy === undefined || host === undefined || this.#isFresh(host.id, policy)) return { wanted: false };
    if (identity === undefined) return { wanted: true };
    if (identity.tpm === undefined) {
      this.#lacks.set(host.id, 'it has no TPM of its own');
      return { wanted: false };
    }
    this.#lacks.delete(host.id);
    const { ekCertificate, ekPublic, akPublic } = identity.tpm;
    const given = { ekCertificate: bytes(ekCertificate), ekPublic: bytes(ekPublic), akPublic: bytes(akPublic) };
    const secret = crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
    const credential = await tryCredential(given, secret);
    const nonce = toHex(crypto.getRandomValues(new Uint8Array(NONCE_BYTES)));
    this.#open(nonce, {
      host: host.id,
      vtpmCa: host.vtpmCa,
      identity: { ...given, vtpmCa: bytes(identity.vtpmCa) },
      secret: credential === undefined ? undefined : secret,
      askedAt: this.#now(),
    });
    return {
      wanted: true,
      question: {
        nonce,
        pcrs: [...policy.pcrs],
        ...(credential === undefined
          ? {}
          : {
              credential: {
                idObject: base64(credential.idObject),
                encryptedSecret: base64(credential.encryptedSecret),
              },
            }),
      },
    };
  }

  /** Each question is answered once. What is kept is the answer, good or bad: a proof of a refusal shows it, too. */
  async judge(answer: Request<'judge-host'>): Promise<BrokerResponse<'judge-host'>> {
    const question = this.#questions.get(answer.nonce);
    this.#questions.delete(answer.nonce);
    const now = this.#now();
    if (question === undefined || now.getTime() - question.askedAt.getTime() > QUESTION_LIFE_MS) {
      throw new RingwallError('conflict', 'this question was not asked, or was answered before, or too late');
    }
    const { host, vtpmCa, identity, secret, askedAt } = question;
    const reference = this.#store.reference(host);
    if (reference === undefined) return this.#tell(host, [nobodySays(host)]);
    const opened = answer.opened === undefined ? undefined : bytes(answer.opened);
    const activated = secret !== undefined && opened !== undefined && equalBytes(opened, secret);
    const layer: HostLayer = {
      nonce: fromHex(answer.nonce),
      askedAt,
      evidence: {
        kind: 'host-tpm',
        ekCertificate: identity.ekCertificate,
        akPublic: identity.akPublic,
        quote: bytes(answer.quote),
        quoteSignature: bytes(answer.quoteSignature),
        eventLog: bytes(answer.eventLog),
        imaLog: bytes(answer.imaLog),
        vtpmCa: identity.vtpmCa,
      },
      activation: activated ? 'confirmed' : 'unconfirmed',
      reference,
    };
    const policy = this.#hostPolicy();
    if (policy === undefined) return this.#tell(host, ['the policy no longer says what a host must show']);
    const { verdict, verified } = await this.#judgeKept({ layer, vtpmCa }, policy, now);
    this.#kept.delete(host);
    this.#kept.set(host, { layer, vtpmCa, accepted: verified !== undefined });
    for (const oldest of this.#kept.keys()) if (this.#kept.size > MAX_KEPT) this.#kept.delete(oldest);
    if (verified !== undefined) this.#store.setClock(host, hostClockOf(verified));
    return this.#tell(host, verdict.reasons);
  }

  /** For a machine that is judged now. */
  async of(machine: MachineRecord, policy: Policy): Promise<HostOfMachine> {
    if (policy.version === 1 || policy.hostTpm === undefined) return UNDEMANDED;
    const host = await hostOf(machine);
    if (host === undefined) return UNDEMANDED;
    const kept = this.#kept.get(host.id);
    if (kept === undefined) {
      const why = this.#store.reference(host.id) === undefined ? nobodySays(host.id) : 'it has not proven itself';
      return { ...UNDEMANDED, reasons: [this.#lacks.get(host.id) ?? why] };
    }
    // What somebody accepted meanwhile counts: for good, or for bad.
    const layer = { ...kept.layer, reference: this.#store.reference(host.id) ?? kept.layer.reference };
    const { verdict, verified } = await this.#judgeKept({ ...kept, layer }, policy.hostTpm, this.#now());
    return { layer, verified, reasons: verdict.reasons };
  }

  #judgeKept({ layer, vtpmCa }: Omit<Kept, 'accepted'>, policy: HostPolicy, now: Date): Promise<HostResult> {
    const { nonce, askedAt, evidence, activation, reference } = layer;
    return judgeHost({
      evidence,
      question: { nonce, host: reference.host, vtpmCa, askedAt },
      policy,
      reference,
      activation,
      last: this.#store.clock(reference.host),
      now,
    });
  }

  #hostPolicy(): HostPolicy | undefined {
    const policy = this.#policy();
    return policy.version === 1 ? undefined : policy.hostTpm;
  }

  /** Young enough that it will still count when the machine that starts now is judged. */
  #isFresh(host: string, { maxAgeSeconds }: HostPolicy): boolean {
    const kept = this.#kept.get(host);
    if (kept === undefined || !kept.accepted) return false;
    return this.#now().getTime() - kept.layer.askedAt.getTime() < (maxAgeSeconds * 1000) / 2;
  }

  #open(nonce: string, question: Question): void {
    this.#questions.set(nonce, question);
    for (const oldest of this.#questions.keys()) {
      if (this.#questions.size > MAX_OPEN_QUESTIONS) this.#questions.delete(oldest);
    }
  }

  #tell(host: string, reasons: readonly string[]): BrokerResponse<'judge-host'> {
    const outcome = reasons.length === 0 ? 'accepted' : 'refused';
    this.#audit.write({ what: `host ${host}`, outcome, ...(reasons.length === 0 ? {} : { reasons }) });
    return { outcome, reasons: [...reasons] };
  }
}

/** Undefined for a machine that was registered with no CA that can be read. */
async function hostOf(
  machine: MachineRecord,
): Promise<{ readonly id: string; readonly vtpmCa: Uint8Array } | undefined> {
  const [vtpmCa] = machine.vtpmCa;
  if (vtpmCa === undefined) return undefined;
  try {
    return { id: await hostIdOf(vtpmCa), vtpmCa };
  } catch {
    return undefined;
  }
}

/** Undefined where there is no certificate to make one for, or what was said of the keys cannot be read. */
async function tryCredential(
  given: { readonly ekCertificate: Uint8Array; readonly ekPublic: Uint8Array; readonly akPublic: Uint8Array },
  secret: Uint8Array,
): Promise<Credential | undefined> {
  try {
    // Only of the certificate's own key does an opened credential show anything.
    if (!(await isEkOf(given.ekPublic, given.ekCertificate))) return undefined;
    return await makeCredential({
      ekPublic: parsePublic(given.ekPublic),
      akName: await nameOf(given.akPublic),
      secret,
    });
  } catch {
    return undefined;
  }
}

function nobodySays(host: string): string {
  return `nobody has accepted what ${host} is: ringwall reference host, then ringwall reference accept FILE`;
}

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}

function base64(value: Uint8Array): string {
  return Buffer.from(value).toString('base64');
}
