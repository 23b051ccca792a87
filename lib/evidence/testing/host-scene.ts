// A host with a TPM for tests of its evidence: a software TPM, a boot log and a measurement list, all of which do as they
// are told.
import { concatBytes, toHex, utf8, Writer } from '@ringwall/bytes';
import { encodePcrSelection, TPM_ALG, TPM_GENERATED_VALUE, TPM_RH } from '@ringwall/tpm';
import { encodeIma, imaNg, imaPcr, type TestImaEntry } from '../../tpm/testing/ima-list.ts';
import {
  expectedOfLog,
  judgeHost,
  signHostReference,
  vtpmCaQualifyingData,
  type HostEvidence,
  type HostFile,
  type HostJudgement,
  type HostPolicy,
  type HostQuestion,
  type HostReference,
  type HostResult,
  type Signer,
  type UnsignedHostReference,
} from '../src/index.ts';
import { primaryQualifiedName, readKey } from '../src/keys.ts';
import { parseCertificate } from '../src/x509.ts';
import { encodeLog, realEvents, replay, sha256, type TestEvent } from './event-log.ts';
import { makeSigner } from './proofs.ts';
import { makeScene, type Scene } from './scene.ts';
import { sign } from './software-tpm.ts';
import { issueEk, makeCa, NOW, YEAR_MS, type TestCa } from './vtpm-ca.ts';

export const HOST_ID = 'host_aaaabbbbccccddddeeee';
const ATTEST_QUOTE = 0x8018;
const QEMU = '/usr/bin/qemu-system-x86_64';

/** What a test may have otherwise than an honest host has it. */
export interface HostLies {
  readonly events?: readonly TestEvent[];
  readonly eventLog?: Uint8Array;
  readonly ran?: readonly TestImaEntry[];
  /** What PCR 10 was extended with; `ran` where absent. */
  readonly measured?: readonly TestImaEntry[];
  readonly imaLog?: Uint8Array;
  readonly pcrValues?: ReadonlyMap<number, Uint8Array>;
  readonly pcrs?: readonly number[];
  readonly magic?: number;
  readonly type?: number;
  readonly trailing?: Uint8Array;
  readonly hierarchy?: number;
  readonly extraData?: Uint8Array;
  readonly resetCount?: number;
  readonly restartCount?: number;
  readonly clock?: bigint;
  readonly signer?: CryptoKey;
  readonly akPublic?: Uint8Array;
  readonly ekCertificate?: Uint8Array;
  readonly vtpmCa?: Uint8Array;
}

export interface HostScene {
  readonly machine: Scene;
  readonly maker: TestCa;
  readonly owner: Signer;
  readonly policy: HostPolicy;
  readonly question: HostQuestion;
  readonly reference: HostReference;
  readonly files: readonly HostFile[];
  /** boot_aggregate, and the files of the reference. */
  readonly booted: readonly TestImaEntry[];
  evidence(lies?: HostLies): Promise<HostEvidence>;
  /** The scene's reference with changes, signed again. */
  sign(changes: Partial<UnsignedHostReference>, signer?: Signer): Promise<HostReference>;
  judge(lies?: HostLies, changes?: Partial<HostJudgement>): Promise<HostResult>;
}

export async function makeHostScene(): Promise<HostScene> {
  const machine = await makeScene();
  const [maker, owner] = [await makeCa({ name: 'O=Chips, CN=Maker of TPMs' }), await makeSigner()];
  const honest = await machine.evidence();
  const ak = await readKey(honest.akPublic, 'attestation key', TPM_ALG.ECDSA);
  if (typeof ak === 'string') throw new Error(ak);
  const ekCertificate = await issueEk(maker, machine.tpm.ek.publicKey, 'a chip');
  const pcrs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
  const policy: HostPolicy = {
    version: 1,
    kind: 'host-tpm',
    pcrs,
    signers: [toHex(owner.publicKey)],
    ekRoots: [],
    rules: [],
    others: 'show',
    maxAgeSeconds: 600,
    exceptions: [],
  };
  const question: HostQuestion = {
    nonce: crypto.getRandomValues(new Uint8Array(32)),
    host: HOST_ID,
    vtpmCa: machine.ca.der,
    askedAt: new Date(NOW.getTime() - 5000),
  };
  const files = [QEMU, '/usr/bin/swtpm', '/opt/node/bin/node', '/opt/ringwall/dist/warden.mjs'].map((path) => ({
    path,
    sha256: toHex(sha256(utf8(path))),
    ...(path === QEMU ? { package: 'qemu-system-x86 1:7.2' } : {}),
    required: true,
  }));
  const library = '/usr/lib/x86_64-linux-gnu/libslirp.so.0.4.0';
  const all = [...files, { path: library, sha256: toHex(sha256(utf8(library))), required: false }];
  const aggregate = imaNg('boot_aggregate', aggregateOf(realEvents));
  const booted = [aggregate, ...files.map(({ path }) => imaNg(path))];
  const unsigned: UnsignedHostReference = {
    host: HOST_ID,
    tpm: { akName: toHex(ak.name) },
    events: expectedOfLog(encodeLog(realEvents)),
    files: all,
    by: 'the owner of the host',
    notBefore: new Date(NOW.getTime() - YEAR_MS / 12),
    notAfter: new Date(NOW.getTime() + YEAR_MS / 2),
  };
  const reference = await signHostReference(unsigned, owner);

  const evidence: HostScene['evidence'] = async (lies = {}) => {
    const events = lies.events ?? realEvents;
    const ran = lies.ran ?? booted;
    const quoted = lies.pcrs ?? pcrs;
    const values = replay(events);
    values.set(10, imaPcr('sha256', ...(lies.measured ?? ran)));
    for (const [pcr, value] of lies.pcrValues ?? []) values.set(pcr, value);
    const spki = parseCertificate(question.vtpmCa).spki;
    const quote = concatBytes(
      new Writer()
        .u32be(lies.magic ?? TPM_GENERATED_VALUE)
        .u16be(lies.type ?? ATTEST_QUOTE)
        .finish(),
      sized(await primaryQualifiedName(lies.hierarchy ?? TPM_RH.ENDORSEMENT, ak.name)),
      sized(lies.extraData ?? (await vtpmCaQualifyingData({ ...question, spki }))),
      new Writer()
        .u64be(lies.clock ?? 5000n)
        .u32be(lies.resetCount ?? 7)
        .u32be(lies.restartCount ?? 2)
        .u8(1)
        .u64be(0x2019_1023n)
        .finish(),
      encodePcrSelection(TPM_ALG.SHA256, quoted),
      sized(sha256(...quoted.map((pcr) => values.get(pcr) ?? new Uint8Array(32)))),
      lies.trailing ?? new Uint8Array(),
    );
    return {
      kind: 'host-tpm',
      ekCertificate: lies.ekCertificate ?? ekCertificate,
      akPublic: lies.akPublic ?? honest.akPublic,
      quote,
      quoteSignature: await sign(lies.signer ?? machine.tpm.ak.privateKey, quote),
      eventLog: lies.eventLog ?? encodeLog(events),
      imaLog: lies.imaLog ?? encodeIma(...ran),
      vtpmCa: lies.vtpmCa ?? machine.ca.der,
    };
  };
  return {
    machine,
    maker,
    owner,
    policy,
    question,
    reference,
    files: all,
    booted,
    evidence,
    sign: (changes, signer = owner) => signHostReference({ ...unsigned, ...changes }, signer),
    judge: async (lies = {}, changes = {}) =>
      judgeHost({
        evidence: await evidence(lies),
        question,
        policy,
        reference,
        activation: 'unconfirmed',
        now: NOW,
        ...changes,
      }),
  };
}

/** Ids of the checks that failed. */
export function failedHostChecks({ verdict }: HostResult): string[] {
  return verdict.checks.filter(({ ok }) => !ok).map(({ id }) => id);
}

/** What the kernel measures first. */
export function aggregateOf(events: readonly TestEvent[]): Uint8Array {
  const values = replay(events);
  return sha256(...Array.from({ length: 10 }, (_, pcr) => values.get(pcr) ?? new Uint8Array(32)));
}

function sized(bytes: Uint8Array): Uint8Array {
  return new Writer().sized16be((inner) => inner.bytes(bytes)).finish();
}
