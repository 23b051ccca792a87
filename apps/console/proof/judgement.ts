// From what was dropped on the page to what is shown: the same judgement as `ringwall verify`, by the same functions.
import { toHex } from '@ringwall/bytes';
import {
  chainOf,
  verifyProof,
  type Link,
  type ProofReport,
  type ProofTrust,
  type ReferenceValues,
  type SignedReference,
} from '@ringwall/evidence';
import { Mistake, recognise, type Given, type Material, type MistakeCode } from './material.ts';

export interface Question {
  /** In the order in which they were given: of two of one kind the later counts. */
  readonly given: readonly Given[];
  /** The clock that expiry and "not from the future" are judged by. */
  readonly nowMs: number;
}

/** What a given file was taken for. */
export interface Taken {
  /** Its place in the question. */
  readonly at: number;
  readonly name: string;
  readonly kind: Material['kind'];
  /** What tells it from another of its kind. */
  readonly label: string;
}

export interface Refused {
  readonly name: string;
  readonly code: MistakeCode;
  readonly detail: string;
}

export interface Judged {
  readonly report: ProofReport;
  readonly chain: readonly Link[];
  /** Whether the person has named a broker, without which nothing is ever proven. */
  readonly brokerNamed: boolean;
}

export interface Answer {
  readonly taken: readonly Taken[];
  readonly refused: readonly Refused[];
  /** Undefined where no proof was given, or the newest that was cannot be read. */
  readonly judged: Judged | undefined;
}

/** Never throws over what was given: what is wrong with it is in the answer. */
export async function answerOf({ given, nowMs }: Question): Promise<Answer> {
  const materials = new Map<Material['kind'], { readonly material: Material; readonly at: number }>();
  const refused: Refused[] = [];
  const now = new Date(nowMs);
  for (const [at, one] of given.entries()) {
    try {
      const material = await recognise(one, now);
      materials.set(material.kind, { material, at });
    } catch (error) {
      if (!(error instanceof Mistake)) throw error;
      // Whatever was meant as a proof puts the old one away: nobody shall take its verdict for the new one's.
      if (error.code !== 'bad-anchor') materials.delete('proof');
      refused.push({ name: one.name, code: error.code, detail: error.message });
    }
  }
  const taken = [...materials.values()].map(({ material, at }) => ({
    at,
    name: given[at]?.name ?? '',
    kind: material.kind,
    label: labelOf(material),
  }));
  const trust: ProofTrust = Object.assign({ now }, ...[...materials.values()].map(({ material }) => trustIn(material)));
  const proof = materials.get('proof')?.material;
  if (proof?.kind !== 'proof') return { taken, refused, judged: undefined };
  const report = await verifyProof(proof.proof, trust);
  const brokerNamed = trust.brokerKey !== undefined;
  return { taken, refused, judged: { report, chain: chainOf(report), brokerNamed } };
}

function trustIn(material: Material): Partial<ProofTrust> {
  switch (material.kind) {
    case 'proof':
      return {};
    case 'broker-key':
      return { brokerKey: material.key };
    case 'vtpm-ca':
      return { trustedRoots: material.certificates };
    case 'reference':
      return { reference: material.reference };
    case 'reference-key':
      return { referenceKey: material.key };
    case 'host':
      return { hostReference: material.reference };
    case 'policy':
      break;
  }
  return { policy: material.policy };
}

function labelOf(material: Material): string {
  switch (material.kind) {
    case 'proof':
      return material.proof.machine.name;
    case 'broker-key':
    case 'reference-key':
      return `${toHex(material.key).slice(0, 12)}…`;
    case 'vtpm-ca':
      return material.certificates.length === 1 ? 'one certificate' : `${material.certificates.length} certificates`;
    case 'reference':
      return `image ${imageOf(material.reference)}`;
    case 'host':
      return material.reference.host;
    case 'policy':
      break;
  }
  return `${material.policy.pcrs.length} PCRs`;
}

function imageOf(reference: ReferenceValues | SignedReference): string {
  return 'format' in reference ? reference.for.image.name : reference.image.name;
}
