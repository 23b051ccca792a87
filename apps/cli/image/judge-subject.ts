// What is wrong with whatever somebody named. An image that was judged before, by the same rules and the same advisories, is not
// judged again: then nothing that looks into layers is loaded.
import { MAX_VEX_BYTES, parseVex, type Finding, type VexStatement } from '@ringwall/oci';
import type { JudgedImage } from '@ringwall/host/images';
import type { Invocation } from '../invocation.ts';
import { openVerdicts } from './caches.ts';
import { readBytes, reading } from './given.ts';
import { withStored, type StoredKind } from './open-stored.ts';
import { scannerFor } from './scanners.ts';
import type { SubjectKind } from './subject.ts';

/** What was judged, and from where. */
export interface Judged {
  readonly image: JudgedImage;
  /** Of its manifest; '' where there is none. */
  readonly digest: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
  /** Who signed it, in a sentence; '' where nobody asked. */
  readonly signed: string;
  /** The worst first. */
  readonly findings: readonly Finding[];
}

/** What is believed of vulnerabilities that do not matter. */
export interface Vex {
  readonly bytes: Uint8Array;
  readonly statements: readonly VexStatement[];
}

export const NO_VEX: Vex = { bytes: new Uint8Array(), statements: [] };

/** Throws `RingwallError`. */
export function readVex({ values }: Invocation): Vex {
  const file = values.get('vex');
  if (file === undefined) return NO_VEX;
  const bytes = readBytes(file, MAX_VEX_BYTES);
  return { bytes, statements: reading(file, () => parseVex(bytes)) };
}

/** undefined where it was refused, which was said. Throws `RingwallError`. */
export async function judgeSubject(
  invocation: Invocation,
  kind: Exclude<SubjectKind, 'dockerfile'>,
  subject: string,
  vex: Vex,
): Promise<Judged | undefined> {
  if (kind === 'sbom') {
    const { judgeBill } = await import('./judge-bill.ts');
    return judgeBill(invocation, subject, vex.statements);
  }
  if (kind === 'root' || kind === 'disk') {
    const { inspectFilesOf } = await import('./inspect-subject.ts');
    const { judgeFindings } = await import('./judge-findings.ts');
    const scanned = await inspectFilesOf(invocation, kind, subject);
    return { ...scanned, findings: judgeFindings(invocation, scanned.image, { vex: vex.statements, imageDigest: '' }) };
  }
  return await judgeStored(invocation, kind, subject, vex);
}

async function judgeStored(
  invocation: Invocation,
  kind: StoredKind,
  subject: string,
  vex: Vex,
): Promise<Judged | undefined> {
  return await withStored(invocation, kind, subject, async (stored, signed, signal) => {
    const { digest, annotations } = stored;
    const scanning = await scannerFor(invocation);
    const grounds = { scanner: scanning.scanner?.id ?? '', vex: vex.bytes, imageDigest: digest };
    using verdicts = openVerdicts(invocation, grounds);
    const known = verdicts?.get(stored);
    if (known !== undefined)
      return { image: stored, digest, annotations, notes: scanning.notes, signed, findings: known };
    const { inspectStored } = await import('./inspect-subject.ts');
    // What judges is loaded while threads read.
    const [scanned, { judgeFindings }] = await Promise.all([
      inspectStored(invocation, subject, stored, { signed, signal, scanning }),
      import('./judge-findings.ts'),
    ]);
    const findings = judgeFindings(invocation, scanned.image, { vex: vex.statements, imageDigest: digest });
    if (scanned.isLasting) verdicts?.put(stored, findings);
    return { ...scanned, findings };
  });
}
