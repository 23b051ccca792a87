// What was signed of an image: the payload of cosign's first form (containers/image, "Atomic Container Signature"; cosign's
// "Signature Specification"), or a statement of in-toto ("Attestation Framework", Statement v1). Read only after its signature was
// verified; whoever signed it wrote it.
import { isObject, listOf, malformed, objectOf, parseJsonObject, textOf } from '../manifests/json.ts';
import { parseDigest } from '../references/reference.ts';
import { SIGNED_BY_COSIGN } from './signature-policy.ts';

export const STATEMENT_PAYLOAD_TYPE = 'application/vnd.in-toto+json';

const PAYLOAD_TYPE = 'cosign container image signature';
const STATEMENT_TYPES: readonly string[] = ['https://in-toto.io/Statement/v1', 'https://in-toto.io/Statement/v0.1'];
/** A build states what it made; an image with all its platforms has twenty. */
const MAX_SUBJECTS = 1000;

export interface SignedSubject {
  /** Of a manifest or an index: `sha256:…`. */
  readonly digest: string;
  /** As the signer wrote it; '' where none is stated. */
  readonly name: string;
}

export interface SignedClaim {
  readonly predicateType: string;
  readonly subjects: readonly SignedSubject[];
}

/** Throws OciError. */
export function parseSimpleSigning(payload: Uint8Array): SignedClaim {
  const what = 'signed payload';
  const critical = objectOf(parseJsonObject(payload, what), 'critical', what);
  const type = textOf(critical, 'type', what);
  if (type !== PAYLOAD_TYPE) throw malformed(what, `is no signature of an image, but “${type.slice(0, 60)}”`);
  const digest = textOf(objectOf(critical, 'image', what), 'docker-manifest-digest', what);
  const name = textOf(objectOf(critical, 'identity', what), 'docker-reference', what);
  return { predicateType: SIGNED_BY_COSIGN, subjects: [{ digest: checked(digest), name }] };
}

/** Throws OciError. */
export function parseStatement(payload: Uint8Array): SignedClaim {
  const what = 'signed statement';
  const statement = parseJsonObject(payload, what);
  if (!STATEMENT_TYPES.includes(textOf(statement, '_type', what))) throw malformed(what, 'is none of in-toto');
  const subjects = listOf(statement, 'subject', what);
  if (subjects.length > MAX_SUBJECTS) throw malformed(what, `has more than ${String(MAX_SUBJECTS)} subjects`);
  return {
    predicateType: textOf(statement, 'predicateType', what),
    subjects: subjects.flatMap((subject) => {
      if (!isObject(subject)) throw malformed(what, 'has a subject that is no object');
      const hex = textOf(objectOf(subject, 'digest', what), 'sha256', what);
      // Files are stated by other digests, too; an image is not.
      return hex === '' ? [] : [{ digest: checked(`sha256:${hex}`), name: textOf(subject, 'name', what) }];
    }),
  };
}

function checked(digest: string): string {
  const { algorithm, hex } = parseDigest(digest);
  return `${algorithm}:${hex}`;
}
