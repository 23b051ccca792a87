// Why each check is asked: what somebody could do if it were not. Shown on demand beside what was seen.
import type { CheckId } from '@ringwall/evidence';
import { HOST_EXPLANATIONS } from './host-explanations.ts';

/** Checks of the bundle itself; those of the evidence are CheckId. */
type BundleCheckId = 'broker-signature' | 'broker-key' | 'time' | 'agreement';

/** Of what ran since the boot; the checks' own titles explain the others. */
type RanCheckId =
  | 'ima-image'
  | `ima-${'quote-signature' | 'quote-question' | 'same-boot' | 'clock-forward' | 'list-form' | 'list-start'}`
  | `ima-${'pcrs' | 'violations' | 'files'}`;

export const EXPLANATIONS: Readonly<Record<CheckId | BundleCheckId | RanCheckId, string>> = {
  'broker-signature': 'The broker seals the whole bundle with its key. Without this, anyone on the way could edit it.',
  'broker-key':
    'A seal says only which key made it. Whether that is the key of somebody you trust, only you can say: name it below.',
  time: 'A bundle from tomorrow was made with a wrong clock, or by somebody who hopes that certificates will be valid then.',
  agreement:
    'The evidence is judged anew here. A broker that called it good where it does not pass is mistaken, or lies.',
  policy:
    'The policy says which measurements count. An empty or unreadable one would let anything pass, so it lets nothing.',
  reference: 'The reference values say what a good boot measures. Without them there is nothing to compare with.',
  challenge:
    'The broker asks with a random number and names the machine and the boot, so that no answer fits two questions.',
  'reference-signature':
    'Reference values that somebody stands for are signed. Altered ones would call an altered system a good one.',
  'reference-time': 'Reference values expire, so that a system with known holes does not pass for good for ever.',
  'reference-authority': 'The policy may name who can say what is expected. Otherwise any signature at all would do.',
  'evidence-kinds':
    'Where the policy demands evidence of the host or of the processor beside the TPM’s, leaving it out must not pass.',
  'reference-quoted': 'A measurement in a register that nobody signed could be claimed freely, however well it agrees.',
  'evidence-size':
    'Evidence with missing or oversized parts is not looked at further: a limit keeps the judge from being worn out.',
  'ek-form':
    'The endorsement certificate is the TPM’s birth certificate. One that can be read in two ways could name two TPMs.',
  'ek-chain':
    'Anyone can write a birth certificate. Only one that a trusted authority signed says that a real (virtual) TPM has the key.',
  'ek-validity':
    'An expired certificate, or authority, is no longer vouched for by those who issued it. Judged at the time of the boot.',
  'ek-usage':
    'A certificate for another purpose (a web server, say) from the same authority must not pass for one of a TPM.',
  'ek-machine':
    'The certificate must name this machine. Otherwise a healthy neighbour’s TPM could answer in its place.',
  'ek-registered':
    'The broker knows which certificate the machine was registered with. A bundle cannot show that again, so here it is the broker’s word.',
  'ak-form':
    'The attestation key signs what was measured. Only one kind of key is accepted, so that no weak one can be chosen.',
  'ak-attributes':
    'A key that could leave its TPM, or sign texts of its owner’s choice, could sign invented measurements.',
  'quote-signature': 'The quote is the TPM’s signed statement of its registers. Unsigned, it is anyone’s text.',
  'quote-form':
    'TPM structures begin with a fixed mark that a restricted key puts on nothing else; bytes after the end could hide a second meaning.',
  'quote-signer': 'The key must stand where only the TPM’s own keys stand, or a key from elsewhere could pose as one.',
  'quote-nonce':
    'The quote must contain this question’s random number. Otherwise it could be an old recording of a healthy boot.',
  'quote-pcrs': 'If the machine chose which registers to show, it would leave out the one that tells on it.',
  'quote-firmware':
    'A TPM with old firmware may have holes that let its keys out. The policy can set the least version.',
  'certify-signature': 'The disk key is released to the boot key. That this key lives in the TPM is itself signed.',
  'certify-form': 'As with the quote: exactly one well-formed statement, and nothing behind it.',
  'certify-signer': 'The same TPM must speak in both statements.',
  'certify-nonce': 'The statement about the boot key must be an answer to this question too, not a recording.',
  'certify-name': 'The key that was vouched for must be the very key that secrets are released to.',
  'boot-key-form': 'One kind of key only, so that nobody can choose one that leaks.',
  'boot-key-attributes': 'A boot key that could be copied out of the TPM would carry the disk key away with it.',
  'boot-key-hierarchy':
    'Keys of the null hierarchy vanish at every reset: a key released to one boot is useless in the next.',
  'boot-key-policy':
    'The boot key works only while the registers stay as they were quoted: a system that changes loses it.',
  'same-run': 'Both statements must come from one run of one TPM. Two halves of different boots prove neither.',
  'log-form':
    'The event log tells what went into the registers. One that cannot be read to its end could hide its end.',
  'log-banks': 'TPMs can keep registers in several hashes. One that nobody quotes could hold anything.',
  'log-replay':
    'The log itself is not signed. Its events are hashed again, in order: only the true log gives the registers that were.',
  'log-covered': 'An event in a register that was not quoted is a story without a witness.',
  'log-untouched':
    'Some registers must still be empty when the key is asked for: the system extends them later, so that nobody can ask twice.',
  'log-data':
    'Descriptions in a log can be rewritten without changing a hash. Where the hash is that of the text, they must agree.',
  'ima-image':
    'The reference values name the image by a digest that its list of files is part of: nobody can bring a longer list.',
  'ima-quote-signature': 'What ran must be confirmed by the very key that this boot was proven with.',
  'ima-quote-question': 'The quote must answer the question that the broker asked, at this place in the list.',
  'ima-same-boot': 'A TPM that was reset has begun another boot: what ran then says nothing of this one.',
  'ima-clock-forward': 'A TPM whose clock went back was put back to an earlier state, before something ran.',
  'ima-list-form': 'Each entry’s own digest is computed again, so that no path can be rewritten.',
  'ima-list-start':
    'The kernel begins its list with a digest of the boot: that of another boot cannot be put in its place.',
  'ima-pcrs': 'The list may be longer than what the TPM had seen, never shorter: nothing that ran can be left out.',
  'ima-violations': 'Of a file that was changed while it was measured, nobody knows what ran.',
  'ima-files': 'Whatever was executed, mapped or loaded must be a file of the image, by its digest.',
  events:
    'Every measurement must be one that was expected, in its order, and none may be missing. This is where a changed file shows.',
};

const BY_ID: ReadonlyMap<string, string> = new Map([
  ...Object.entries(EXPLANATIONS),
  ...Object.entries(HOST_EXPLANATIONS),
]);

/** Undefined for a check that came after this page. */
export function explanationOf(id: string): string | undefined {
  return BY_ID.get(id);
}
