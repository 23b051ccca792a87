// What the broker asks, and the ASCII texts whose SHA-256 digests bind question, answer and release to each other.
// The protocol is docs/protocols/attestation.md; one line feed ends each line, hexadecimal is lower case.
import { toHex, utf8 } from '@ringwall/bytes';
import { digest } from '@ringwall/tpm';
import { EvidenceError } from './errors.ts';

/** A nonce is as long as the digest that carries it: neither guessing nor collision gets cheaper than SHA-256's. */
export const NONCE_BYTES = 32;

/** What one attestation answers: this nonce, for this boot of this machine. */
export interface Challenge {
  /** 32 random bytes, used once. */
  readonly nonce: Uint8Array;
  readonly machine: string;
  /** 32 lower-case hexadecimal digits. */
  readonly boot: string;
}

/**
 * What the guest is to do with its disk: open it; format it, if it is blank; or open it and give it the next key in the
 * place of the one that it has. `-authenticated`: a disk whose sectors carry tags, and no other.
 */
export type ReleaseMode = `${'open' | 'format' | 'rotate'}${'' | '-authenticated'}`;

/** What the broker sends with a key; its signature is over `releaseDigest` of this. */
export interface Release {
  readonly qualifyingData: Uint8Array;
  readonly mode: ReleaseMode;
  readonly idObject: Uint8Array;
  readonly encryptedSecret: Uint8Array;
  /** X and Y of the ephemeral key, 64 bytes. */
  readonly ephemeral: Uint8Array;
  /** The second half of the key; and of the next key, where there is one. */
  readonly masked: Uint8Array;
}

const MACHINE = /^[a-z][a-z0-9_-]{0,62}$/;
const BOOT = /^[0-9a-f]{32}$/;

/** Refuses a challenge whose parts could be read as something else inside the signed text (a line feed, say). */
export function checkChallenge(challenge: Challenge): void {
  if (!(challenge.nonce instanceof Uint8Array) || challenge.nonce.length !== NONCE_BYTES) {
    throw new EvidenceError('challenge-invalid', `nonce is not ${NONCE_BYTES} bytes`);
  }
  if (typeof challenge.machine !== 'string' || !MACHINE.test(challenge.machine)) {
    throw new EvidenceError('challenge-invalid', 'machine id is not of the form that ids have');
  }
  if (typeof challenge.boot !== 'string' || !BOOT.test(challenge.boot)) {
    throw new EvidenceError('challenge-invalid', 'boot id is not 32 hexadecimal digits');
  }
}

/** The text behind the qualifying data of quote and certify. `bootKeyName` is the whole Name, with its 000b. */
export function qualifyingText(challenge: Challenge, bootKeyName: Uint8Array): string {
  checkChallenge(challenge);
  const lines = ['ringwall-attest 1', toHex(challenge.nonce), challenge.machine, challenge.boot, toHex(bootKeyName)];
  return `${lines.join('\n')}\n`;
}

/** The `extraData` that quote and certify must carry: nonce, machine, boot and boot key, in one digest. */
export async function qualifyingData(challenge: Challenge, bootKeyName: Uint8Array): Promise<Uint8Array> {
  return sha256Text(qualifyingText(challenge, bootKeyName));
}

/** The text that the broker signs, so that nobody on the way can hand the guest another key. */
export function releaseText(release: Release): string {
  const lines = [
    'ringwall-release 1',
    toHex(release.qualifyingData),
    release.mode,
    toHex(release.idObject),
    toHex(release.encryptedSecret),
    toHex(release.ephemeral),
    toHex(release.masked),
  ];
  return `${lines.join('\n')}\n`;
}

/** The digest that the guest's TPM verifies the broker's signature over. */
export function releaseDigest(release: Release): Promise<Uint8Array> {
  return sha256Text(releaseText(release));
}

/**
 * What the guest must answer to show that it opened the credential, and the only thing that shows that the attestation
 * key lives in the TPM of the EK certificate: a quote alone can come from a software key whose public area lies. `secret`
 * is the fresh half that went through MakeCredential, so neither an old answer nor the disk key itself helps a forger.
 */
export function activationDigest(qualifying: Uint8Array, secret: Uint8Array): Promise<Uint8Array> {
  return sha256Text(`ringwall-activated 1\n${toHex(qualifying)}\n${toHex(secret)}\n`);
}

/** The first half of the next key: it comes out of the same credential, and says nothing of the key that it follows. */
export function nextKeyHalf(secret: Uint8Array): Promise<Uint8Array> {
  return sha256Text(`ringwall-next-key 1\n${toHex(secret)}\n`);
}

/** What the guest extends into PCR 15 once its disk is open, so that nothing later in this boot can ask again. */
export function unlockedText(boot: string): string {
  return `ringwall unlocked ${boot}\n`;
}

function sha256Text(text: string): Promise<Uint8Array> {
  return digest('sha256', utf8(text));
}
