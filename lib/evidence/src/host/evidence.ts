// What a host with a TPM sends about itself: untrusted until judgeHost has judged all of it. The question it answers is in
// docs/protocols/host-evidence.md.

/** Every field is in the hand of whoever is root on the host, and of whoever relays it. */
export interface HostEvidence {
  readonly kind: 'host-tpm';
  /** X.509, DER; empty where the maker of the TPM gave it none. */
  readonly ekCertificate: Uint8Array;
  /** TPMT_PUBLIC of the attestation key. */
  readonly akPublic: Uint8Array;
  /** TPMS_ATTEST of TPM2_Quote. */
  readonly quote: Uint8Array;
  /** TPMT_SIGNATURE over `quote`. */
  readonly quoteSignature: Uint8Array;
  /** The firmware's log, as /sys/kernel/security/tpm0/binary_bios_measurements gives it. */
  readonly eventLog: Uint8Array;
  /** What ran, as /sys/kernel/security/ima/binary_runtime_measurements gives it; read after the quote was made. */
  readonly imaLog: Uint8Array;
  /** Certificate of the CA of this host's vTPMs, X.509, DER. */
  readonly vtpmCa: Uint8Array;
}

export type HostEvidenceField = Exclude<keyof HostEvidence, 'kind'>;

/** The most bytes of each field that are looked at. */
export const HOST_EVIDENCE_LIMITS_BYTES: Readonly<Record<HostEvidenceField, number>> = {
  ekCertificate: 4096, // an EK certificate with an RSA-4096 signature has about 1,800
  akPublic: 1024, // an RSA-4096 TPMT_PUBLIC has 550
  quote: 2048, // a Name, qualifying data, clock and a digest: about 150
  quoteSignature: 1024, // RSA-4096: 518
  eventLog: 512 * 1024, // a large server's log has 100 KiB, most of it signature databases
  imaLog: 1024 * 1024, // some 9,000 entries: what executables and libraries a server runs until it is booted again
  vtpmCa: 4096,
};

export const HOST_EVIDENCE_FIELDS: readonly HostEvidenceField[] = [
  'ekCertificate',
  'akPublic',
  'quote',
  'quoteSignature',
  'eventLog',
  'imaLog',
  'vtpmCa',
];

/** The one part that an honest host may lack. */
export const MAY_BE_EMPTY: HostEvidenceField = 'ekCertificate';
