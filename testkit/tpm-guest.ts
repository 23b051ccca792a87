// The guest's side of the attestation protocol (docs/protocols/attestation.md), played on a TPM by a test or an attacker:
// what a program can do that has a TPM, and says whatever it likes.
import { Cursor, fromHex, toHex, utf8 } from '@ringwall/bytes';
import { activationDigest, qualifyingData, type Challenge, type VtpmEvidence } from '@ringwall/evidence';
import {
  bodyOf,
  commands,
  maskWithPoint,
  parseEventLog,
  parseFields,
  parsePublic,
  RESPONSE_HEADER_BYTES,
  TPM_ALG,
  EV_NO_ACTION,
} from '@ringwall/tpm';
import type { PlainTpm } from './plain-tpm.ts';

export interface GuestKeys {
  readonly ekCertificate: Uint8Array;
  readonly ak: Uint8Array;
  readonly akPublic: Uint8Array;
  readonly bootKey: Uint8Array;
  readonly bootPublic: Uint8Array;
  readonly bootName: Uint8Array;
}

/** Extends the PCRs with the events of a log, as if this TPM had seen that boot. */
export async function replayInto(tpm: PlainTpm, eventLog: Uint8Array): Promise<void> {
  for (const event of parseEventLog(eventLog).events) {
    const digest = event.digests.get('sha256');
    if (event.type === EV_NO_ACTION || digest === undefined) continue;
    bodyOf(await tpm.run(commands.pcrExtend(event.pcr, digest)));
  }
}

/** Attestation key and boot key, made as the initrd makes them. */
export async function makeGuestKeys(tpm: PlainTpm): Promise<GuestKeys> {
  const { dataSize } = parseFields('nvReadPublic', await tpm.guest('nvReadPublic'));
  const { data } = parseFields('nvRead', await tpm.guest('nvRead', { size: dataSize }));
  const ak = parseFields('createPrimary', await tpm.guest('createAk'));
  const { sessionHandle: session } = parseFields('startAuthSession', await tpm.guest('startTrial'));
  bodyOf(await tpm.guest('policyPcr', { session }));
  const { policyDigest } = parseFields('policyGetDigest', await tpm.guest('policyGetDigest', { session }));
  bodyOf(await tpm.guest('flushContext', { handle: session }));
  const unique = crypto.getRandomValues(new Uint8Array(64));
  const boot = parseFields(
    'createPrimary',
    await tpm.guest('createBootKey', {
      auth_policy: policyDigest,
      unique_x: unique.slice(0, 32),
      unique_y: unique.slice(32),
    }),
  );
  return {
    ekCertificate: data,
    ak: ak.objectHandle,
    akPublic: ak.outPublic,
    bootKey: boot.objectHandle,
    bootPublic: boot.outPublic,
    bootName: boot.name,
  };
}

/** Quote and certificate over the challenge, with whatever log the caller wants to show. */
export async function makeEvidence(
  tpm: PlainTpm,
  keys: GuestKeys,
  challenge: Challenge,
  eventLog: Uint8Array,
): Promise<VtpmEvidence> {
  const qualifying = await qualifyingData(challenge, keys.bootName);
  const certified = parseFields(
    'certify',
    await tpm.guest('certify', { ak: keys.ak, boot_key: keys.bootKey, qualifying }),
  );
  const quoted = parseFields('quote', await tpm.guest('quote', { ak: keys.ak, qualifying }));
  return {
    kind: 'vtpm',
    ekCertificate: keys.ekCertificate,
    akPublic: keys.akPublic,
    bootPublic: keys.bootPublic,
    certify: certified.certifyInfo,
    certifySignature: signatureOf(certified.parameterSize, certified.certifyInfo, certified.signatureAndAuthorization),
    quote: quoted.quoted,
    quoteSignature: signatureOf(quoted.parameterSize, quoted.quoted, quoted.signatureAndAuthorization),
    eventLog,
  };
}

/** The lines that carry evidence to the broker. */
export function evidenceLines(evidence: VtpmEvidence): string {
  const log = toHex(evidence.eventLog).match(/.{1,2048}/g) ?? [];
  return [
    'evidence',
    `ek-certificate ${toHex(evidence.ekCertificate)}`,
    `ak-public ${toHex(evidence.akPublic)}`,
    `boot-public ${toHex(evidence.bootPublic)}`,
    `certify ${toHex(evidence.certify)} ${toHex(evidence.certifySignature)}`,
    `quote ${toHex(evidence.quote)} ${toHex(evidence.quoteSignature)}`,
    ...log.map((piece) => `event-log ${piece}`),
    'end',
    '',
  ].join('\n');
}

/** Reads `challenge NONCE MACHINE BOOT`. */
export function parseChallengeLine(line: string): Challenge {
  const [word, nonce = '', machine = '', boot = ''] = line.split(' ');
  if (word !== 'challenge') throw new Error(`expected a challenge, got: ${line.slice(0, 80)}`);
  return { nonce: fromHex(nonce), machine, boot };
}

export interface OpenedRelease {
  readonly mode: string;
  /** What no file of the host holds. */
  readonly diskKey: Uint8Array;
  /** Goes back with `unlocked`: only the TPM of the EK certificate can make it. */
  readonly activation: Uint8Array;
}

/** Puts the disk key together: one half by the endorsement key, the other by the boot key. */
export async function openRelease(
  tpm: PlainTpm,
  keys: GuestKeys,
  challenge: Challenge,
  line: string,
): Promise<OpenedRelease> {
  const [word, mode = '', idObject = '', encryptedSecret = '', ephemeral = '', masked = ''] = line.split(' ');
  if (word !== 'release') throw new Error(`expected a release, got: ${line.slice(0, 80)}`);
  const first = await activateCredential(tpm, keys, fromHex(idObject), fromHex(encryptedSecret));
  const second = await openHalf(tpm, keys, fromHex(ephemeral), fromHex(masked));
  return {
    mode,
    diskKey: second.map((byte, index) => byte ^ (first[index] ?? 0)),
    activation: await activationDigest(await qualifyingData(challenge, keys.bootName), first),
  };
}

async function activateCredential(
  tpm: PlainTpm,
  keys: GuestKeys,
  idObject: Uint8Array,
  encryptedSecret: Uint8Array,
): Promise<Uint8Array> {
  const { sessionHandle: session } = parseFields('startAuthSession', await tpm.guest('startPolicy'));
  bodyOf(await tpm.guest('policySecret', { session }));
  const values = { ak: keys.ak, session, id_object: idObject, encrypted_secret: encryptedSecret };
  return parseFields('activateCredential', await tpm.guest('activateCredential', values)).certInfo;
}

async function openHalf(
  tpm: PlainTpm,
  keys: GuestKeys,
  ephemeral: Uint8Array,
  masked: Uint8Array,
): Promise<Uint8Array> {
  const key = parsePublic(keys.bootPublic);
  if (key.type !== TPM_ALG.ECC) throw new Error('the boot key is not an ECC key');
  const { sessionHandle: session } = parseFields('startAuthSession', await tpm.guest('startPolicy'));
  bodyOf(await tpm.guest('policyPcr', { session }));
  const point = { point_x: ephemeral.slice(0, 32), point_y: ephemeral.slice(32) };
  const { x: z } = parseFields('ecdhZGen', await tpm.guest('ecdhZGen', { boot_key: keys.bootKey, session, ...point }));
  return maskWithPoint({ masked, z, ephemeralX: ephemeral.slice(0, 32), key });
}

/** What the initrd does after unlocking: from here on the boot key is of no use. */
export async function extendUnlocked(tpm: PlainTpm, boot: string): Promise<void> {
  const digest = new Uint8Array(
    await crypto.subtle.digest('SHA-256', new Uint8Array(utf8(`ringwall unlocked ${boot}\n`))),
  );
  bodyOf(await tpm.guest('extendUnlocked', { digest }));
}

/** TPMT_SIGNATURE is what is left of the parameters behind the attested structure. */
function signatureOf(parameterSize: Uint8Array, attested: Uint8Array, rest: Uint8Array): Uint8Array {
  const parameters = new Cursor(parameterSize, RESPONSE_HEADER_BYTES).u32be('parameterSize');
  return rest.slice(0, parameters - 2 - attested.length);
}
