// What a host must show: a small declarative object, part of a policy that demands evidence of the kind `host-tpm`. A
// host's firmware log cannot be computed beforehand as a machine's can, so it is compared with what the host's own
// reference holds, and rules say what is allowed to differ.
import { fromBase64, toBase64 } from '../base64.ts';
import { readExceptions, readReason, refusePolicy, type PolicyException } from '../hardware/policy-parts.ts';
import { ClosedObject, deepFreeze, checkInteger } from '../json.ts';
import { parseRules, type EventRule } from '../rules.ts';
import { MAX_CERTIFICATE_BYTES } from '../x509.ts';

/** Firmware, boot loader and kernel: IMA's first entry is over these (ima_calc_boot_aggregate_tfm() of ima_crypto.c). */
export const AGGREGATED_PCRS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
export const IMA_PCR = 10;
/** 16 and 23 are anybody's to reset, 17 to 22 those of a dynamic launch. */
const LAST_BOOT_PCR = 15;
const MAX_SIGNERS = 16;
/** Makers of TPMs have a CA for each model and year; a fleet has a few models. */
const MAX_EK_ROOTS = 32;
/** The host is asked when a machine starts, and counts when it is judged: an emulated boot later. */
const MIN_AGE_SECONDS = 60;
const MAX_AGE_SECONDS = 24 * 3600;

/** `other-banks`: the log has banks that nobody quotes. `boot-order`: firmware that does not keep to the order of a boot. */
const EXCEPTIONS = ['other-banks', 'boot-order'] as const;
export type HostExceptionName = (typeof EXCEPTIONS)[number];

/** A CA that certifies endorsement keys: the maker's own root, or its issuing CA. */
export interface EkRoot {
  /** X.509, DER, base64. */
  readonly certificate: string;
  readonly reason: string;
}

export interface HostPolicy {
  readonly version: 1;
  readonly kind: 'host-tpm';
  /** Exactly the PCRs that must be quoted, ascending: 0 to 10 at least. */
  readonly pcrs: readonly number[];
  /** P-256 keys, X and Y in hexadecimal: who may say what a host is. */
  readonly signers: readonly string[];
  /** Empty: that the attestation key is in a TPM at all is the word of whoever signed the reference. */
  readonly ekRoots: readonly EkRoot[];
  readonly rules: readonly EventRule[];
  /** What ran and is not in the reference: shown with counts, or a reason to refuse. */
  readonly others: 'show' | 'refuse';
  /** How old the host's answer may be when a machine of it is judged. */
  readonly maxAgeSeconds: number;
  readonly exceptions: readonly PolicyException<HostExceptionName>[];
}

/** A policy from JSON or from a caller that might be wrong. Throws EvidenceError `policy-invalid`. */
export function parseHostPolicy(value: unknown): HostPolicy {
  const object = new ClosedObject(value, 'policy.hostTpm', refusePolicy);
  const version = object.oneOf('version', [1]);
  const kind = object.oneOf('kind', ['host-tpm']);
  const pcrs = object.array('pcrs', LAST_BOOT_PCR + 1, (item, path) =>
    checkInteger(item, path, 0, LAST_BOOT_PCR, refusePolicy),
  );
  if (pcrs.some((pcr, index) => index > 0 && pcr <= (pcrs[index - 1] ?? pcr))) {
    refusePolicy('policy.hostTpm.pcrs is not ascending');
  }
  const lacking = [...AGGREGATED_PCRS, IMA_PCR].find((pcr) => !pcrs.includes(pcr));
  if (lacking !== undefined) refusePolicy(`policy.hostTpm.pcrs lacks PCR ${lacking}: 0 to 10 are always demanded`);
  const policy: HostPolicy = {
    version,
    kind,
    pcrs,
    signers: object.array('signers', MAX_SIGNERS, (item, path) =>
      object.textMatching(item, path, /^[0-9a-f]{128}$/, 'a P-256 key, X and Y in hexadecimal'),
    ),
    ekRoots: object.array('ekRoots', MAX_EK_ROOTS, readEkRoot),
    // Linux's own list is judged by its files, so that no rule for an event excuses it.
    rules: parseRules(object, { pcrs: pcrs.filter((pcr) => pcr !== IMA_PCR), untouchedPcrs: [] }, refusePolicy),
    others: object.oneOf('others', ['show', 'refuse']),
    maxAgeSeconds: object.integer('maxAgeSeconds', MIN_AGE_SECONDS, MAX_AGE_SECONDS),
    exceptions: readExceptions(object, EXCEPTIONS),
  };
  object.end();
  if (policy.signers.length === 0) refusePolicy('policy.hostTpm.signers lets nobody say what a host is');
  PARSED.add(deepFreeze(policy));
  return policy;
}

/** Policies that came out of the parser, frozen: they need not be read again. */
const PARSED = new WeakSet<HostPolicy>();

/** The same where it came out of the parser, else a copy that does: a caller in JavaScript can hand in anything. */
export function parsedHostPolicy(given: HostPolicy): HostPolicy {
  return PARSED.has(given) ? given : parseHostPolicy(given);
}

/** DER of the CAs that may certify endorsement keys. */
export function ekRootsOf({ ekRoots }: HostPolicy): readonly Uint8Array[] {
  return ekRoots.map(({ certificate }) => fromBase64(certificate) ?? new Uint8Array());
}

function readEkRoot(item: unknown, path: string): EkRoot {
  const object = new ClosedObject(item, path, refusePolicy);
  const certificate = object.string('certificate', Math.ceil(MAX_CERTIFICATE_BYTES / 3) * 4);
  const bytes = fromBase64(certificate);
  if (bytes === undefined || bytes.length === 0 || toBase64(bytes) !== certificate) {
    refusePolicy(`${path}.certificate is not base64 in its one spelling`);
  }
  const root = { certificate, reason: readReason(object) };
  object.end();
  return root;
}
