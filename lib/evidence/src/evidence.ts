// What a machine sends about itself, as the bytes that its TPM made: untrusted until judgeVtpm has judged all of it.

/** Evidence of a machine whose root is a vTPM. Every field is in the hand of the guest and of whoever relays it. */
export interface VtpmEvidence {
  readonly kind: 'vtpm';
  /** X.509, DER. */
  readonly ekCertificate: Uint8Array;
  /** TPMT_PUBLIC of the attestation key. */
  readonly akPublic: Uint8Array;
  /** TPMT_PUBLIC of the key in the null hierarchy that a disk key is released to. */
  readonly bootPublic: Uint8Array;
  /** TPMS_ATTEST of TPM2_Certify(boot key). */
  readonly certify: Uint8Array;
  /** TPMT_SIGNATURE over `certify`. */
  readonly certifySignature: Uint8Array;
  /** TPMS_ATTEST of TPM2_Quote. */
  readonly quote: Uint8Array;
  /** TPMT_SIGNATURE over `quote`. */
  readonly quoteSignature: Uint8Array;
  /** The firmware's log, as /sys/kernel/security/tpm0/binary_bios_measurements gives it. */
  readonly eventLog: Uint8Array;
}

export type EvidenceField = Exclude<keyof VtpmEvidence, 'kind'>;

/** The most bytes of each field that are looked at. An honest field is at most a quarter of its limit. */
export const EVIDENCE_LIMITS_BYTES: Readonly<Record<EvidenceField, number>> = {
  ekCertificate: 4096, // an EK certificate with an RSA-4096 signature has about 1,800
  akPublic: 1024, // an RSA-4096 TPMT_PUBLIC has 550
  bootPublic: 1024,
  certify: 2048, // two Names, qualifying data and clock: about 200
  certifySignature: 1024, // RSA-4096: 518
  quote: 2048,
  quoteSignature: 1024,
  eventLog: 128 * 1024, // what a session of 256 KiB of hexadecimal text can carry; OVMF's log has 2 KiB
};

export const EVIDENCE_FIELDS: readonly EvidenceField[] = [
  'ekCertificate',
  'akPublic',
  'bootPublic',
  'certify',
  'certifySignature',
  'quote',
  'quoteSignature',
  'eventLog',
];
