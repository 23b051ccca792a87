// Who signed an image, and whether that is whom `--signatures` asks for. It is asked before the first layer is read; where nothing
// is asked for, nothing is said.
import type { RemoteImage } from '@ringwall/host/registry';
import { canonicalReference, type Reference, type SignatureVerdict } from '@ringwall/oci';
import type { Invocation } from '../invocation.ts';
import { plainText, wrapText, type Terminal } from '../terminal.ts';
import { reading } from './given.ts';

/** Judges the signatures of what a registry has. Throws RegistryError. */
export type JudgeSigned = (image: RemoteImage, reference: Reference, signal: AbortSignal) => Promise<SignatureVerdict>;

/** undefined where `--signatures` is not given. Throws `RingwallError` where the policy cannot be read: nobody is asked then. */
export async function signatureJudge({ values }: Invocation): Promise<JudgeSigned | undefined> {
  const file = values.get('signatures');
  return file === undefined ? undefined : await judgeBy(file);
}

/** `policy`: the file. Throws `RingwallError` where it cannot be read. */
export async function judgeBy(policy: string): Promise<JudgeSigned> {
  // Sigstore's libraries are loaded only here.
  const { judgeRemoteImage, openSignatureTrust } = await import('@ringwall/host/signatures');
  const trust = reading('--signatures', () => openSignatureTrust(policy));
  return (image, reference, signal) => judgeRemoteImage(image, reference, trust, signal);
}

export function renderSignatures(reference: Reference, verdict: SignatureVerdict, out: Terminal): string[] {
  const sign = { signed: out.tick, unsigned: out.bang, refused: out.cross }[verdict.verdict];
  const bullet = out.sign('·', '-');
  return [
    `  ${sign} ${out.paint('bold', plainText(canonicalReference(reference)))}: ${verdict.verdict}`,
    ...wrapText(plainText(verdict.reason), out.textColumns, 4),
    ...verdict.doubts.flatMap((doubt) => {
      const [first = '', ...rest] = wrapText(plainText(doubt), out.textColumns, 6);
      return [`    ${bullet} ${first.trim()}`, ...rest];
    }),
  ];
}
