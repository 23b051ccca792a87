// A bill of materials judged: only packages, without files. What else is wrong with the image, its bill does not say.
import {
  EMPTY_CONFIG,
  judgeVulnerabilities,
  MAX_SBOM_BYTES,
  parseSbom,
  sortFindings,
  type VexStatement,
} from '@ringwall/oci';
import type { Invocation } from '../invocation.ts';
import { withAdvisories } from './advisories.ts';
import { readBytes, reading } from './given.ts';
import type { Judged } from './judge-subject.ts';

/** Throws `RingwallError`. */
export function judgeBill(invocation: Invocation, file: string, vex: readonly VexStatement[]): Judged {
  const { format, name, packages } = reading(file, () => parseSbom(readBytes(file, MAX_SBOM_BYTES)));
  const findings = withAdvisories(invocation, (source) =>
    sortFindings(judgeVulnerabilities(packages, source, { vex, imageDigest: '' })),
  );
  return {
    image: { config: EMPTY_CONFIG, layers: [{ digest: '', diffId: '', createdBy: '' }] },
    digest: '',
    annotations: {},
    notes: [`a bill of materials (${format}${name === '' ? '' : `, of ${name}`}): only its packages are judged`],
    signed: '',
    findings,
  };
}
