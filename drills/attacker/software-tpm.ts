// Evidence without any TPM: keys made by WebCrypto whose public areas claim to live in one.
import { concatBytes, equalBytes } from '@ringwall/bytes';
import { qualifyingData, type Challenge, type VtpmEvidence } from '@ringwall/evidence';
import { nameOf, parseAttest, parsePublic, type TPMT_PUBLIC } from '@ringwall/tpm';

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256' } as const;
/** TPMT_SIGNATURE: TPM_ALG_ECDSA, TPM_ALG_SHA256, then r and s as TPM2B of 32 bytes. */
const SIGNATURE_HEAD = Uint8Array.of(0x00, 0x18, 0x00, 0x0b, 0x00, 0x20);
const COORDINATE_HEAD = Uint8Array.of(0x00, 0x20);

/**
 * Takes evidence of a real boot and answers `challenge` with it: the attestation key and the boot key are replaced by software
 * keys with the same claims, the attested structures are changed to fit, and everything is signed anew.
 */
export async function forgeEvidence(real: VtpmEvidence, challenge: Challenge): Promise<VtpmEvidence> {
  const ak = await crypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
  const boot = await crypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
  const akPublic = replacePoint(real.akPublic, await pointOfKey(ak.publicKey));
  const bootPublic = replacePoint(real.bootPublic, await pointOfKey(boot.publicKey));
  const qualifying = await qualifyingData(challenge, await nameOf(bootPublic));
  const oldQualifying = parseAttest(real.quote).extraData;
  const fit = async (attested: Uint8Array): Promise<Uint8Array> => {
    const asked = replaceBytes(attested, oldQualifying, qualifying);
    return replaceBytes(asked, await nameOf(real.bootPublic), await nameOf(bootPublic));
  };
  const certify = await fit(real.certify);
  const quote = await fit(real.quote);
  return {
    ...real,
    akPublic,
    bootPublic,
    certify,
    certifySignature: await sign(ak.privateKey, certify),
    quote,
    quoteSignature: await sign(ak.privateKey, quote),
  };
}

async function pointOfKey(key: CryptoKey): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.exportKey('raw', key)).slice(1);
}

/** TPMT_PUBLIC of an ECC key ends in its point: size, x, size, y. */
function replacePoint(publicArea: Uint8Array, point: Uint8Array): Uint8Array {
  const head = publicArea.slice(0, publicArea.length - 2 * (COORDINATE_HEAD.length + 32));
  const changed = concatBytes(head, COORDINATE_HEAD, point.slice(0, 32), COORDINATE_HEAD, point.slice(32));
  const parsed: TPMT_PUBLIC = parsePublic(changed);
  if (parsed.type !== parsePublic(publicArea).type) throw new Error('the forged key has another type');
  return changed;
}

/** Replaces every occurrence; both have the same length, so every size field stays true. */
function replaceBytes(bytes: Uint8Array, from: Uint8Array, to: Uint8Array): Uint8Array {
  const changed = new Uint8Array(bytes);
  for (let at = 0; at + from.length <= changed.length; at += 1) {
    if (equalBytes(changed.slice(at, at + from.length), from)) changed.set(to, at);
  }
  return changed;
}

async function sign(key: CryptoKey, message: Uint8Array): Promise<Uint8Array> {
  const raw = new Uint8Array(
    await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, new Uint8Array(message)),
  );
  return concatBytes(SIGNATURE_HEAD, raw.slice(0, 32), COORDINATE_HEAD, raw.slice(32));
}
