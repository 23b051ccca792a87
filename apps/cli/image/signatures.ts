// Who signed an image, and whether that is whom `--signatures` asks for. It is asked before the first layer is read; where nothing
// is asked for, nothing is said.
import type { OpenedImage } from '@ringwall/host/images';
import type { JudgedName, SignedImage } from '@ringwall/host/signatures';
import {
  canonicalReference,
  parseReference,
  withDefaultTag,
  type Reference,
  type SignatureVerdict,
} from '@ringwall/oci';
import type { Invocation } from '../invocation.ts';
import { plainText, wrapText, type Terminal } from '../terminal.ts';
import { reading, usage, withoutSignatures } from './given.ts';

/** Judges the signatures of what a registry or a layout has. Throws RegistryError. */
export type JudgeSigned = (image: SignedImage, name: JudgedName, signal: AbortSignal) => Promise<SignatureVerdict>;

/** undefined where `--signatures` is not given. Throws `RingwallError` where the policy cannot be read: nobody is asked then. */
export async function signatureJudge({ values }: Invocation): Promise<JudgeSigned | undefined> {
  const file = values.get('signatures');
  return file === undefined ? undefined : await judgeBy(file);
}

/** `policy`: the file. Throws `RingwallError` where it cannot be read. */
export async function judgeBy(policy: string): Promise<JudgeSigned> {
  // Sigstore's libraries are loaded only here.
  const { judgeSignedImage, openSignatureTrust } = await import('@ringwall/host/signatures');
  const trust = reading('--signatures', () => openSignatureTrust(policy));
  return (image, name, signal) => judgeSignedImage(image, name, trust, signal);
}

/** An image that lies here, and what it is called: as `--as` says, or as it says itself. Throws `RingwallError` where nobody does. */
export function namedCopy(
  { values }: Invocation,
  path: string,
  { trail, attached, wholeName }: OpenedImage,
): { readonly copy: SignedImage; readonly name: JudgedName } {
  if (attached === undefined) throw withoutSignatures(path);
  const given = values.get('as');
  if (given === undefined && wholeName === '')
    throw usage(`${path} does not say of which repository it is`, 'a policy speaks of names: --as ghcr.io/acme/app:1');
  const reference = reading(given ?? path, () => withDefaultTag(parseReference(given ?? wholeName)));
  return { copy: { trail, attached }, name: { reference, isClaimed: given === undefined } };
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
