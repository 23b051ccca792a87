// What SEV-SNP evidence must show at least: a small declarative object. Empty, partial or unreadable, it refuses everything.
import { ClosedObject, checkInteger } from '../json.ts';
import {
  readAllowed,
  readExceptions,
  readReason,
  readValues,
  refusePolicy,
  type Allowed,
  type AllowedValue,
  type PolicyException,
} from '../hardware/policy-parts.ts';
import {
  GUEST_POLICY_BITS,
  PLATFORM_BITS,
  type GuestPolicyBit,
  type PlatformBit,
  type SnpFirmwareVersion,
} from './report.ts';
import { SNP_PRODUCTS, type SnpProduct, type SnpTcb } from './tcb.ts';

/** `migration-agent`: another machine may take the guest’s memory; `debug`: the host may read all of it. */
const EXCEPTIONS = ['debug', 'migration-agent', 'masked-chip-id', 'missing-crl'] as const;
export type SnpException = (typeof EXCEPTIONS)[number];

const MAX_VMPL = 3;
const MAX_PROVIDERS = 16;
const MAX_PROVIDER_CHARACTERS = 128;
const MITIGATION_BITS = 64;
const MAX_SVN = 0xffff_ffff;

/** Bits that may be set without an exception. */
const ORDINARY_BITS = keysOf(GUEST_POLICY_BITS).filter((bit) => bit !== 'debug' && bit !== 'migration-agent');

export interface SnpPolicy {
  readonly version: 1;
  readonly kind: 'sev-snp';
  /** Which processors, and the lowest firmware of each: of what is reported, committed and was there at launch. */
  readonly products: readonly { readonly product: SnpProduct; readonly minimumTcb: SnpTcb }[];
  readonly minimumFirmware: SnpFirmwareVersion;
  /** The firmware API that the guest must have demanded for itself. */
  readonly minimumGuestAbi: { readonly major: number; readonly minor: number };
  readonly minimumGuestSvn: number;
  readonly signers: readonly ('vcek' | 'vlek')[];
  /** Providers whose VLEK is believed, as the certificate names them. */
  readonly providers: readonly { readonly cspId: string; readonly reason: string }[];
  readonly chipIds: Allowed;
  readonly vmpls: readonly number[];
  readonly guestPolicy: { readonly required: readonly GuestPolicyBit[]; readonly allowed: readonly GuestPolicyBit[] };
  readonly platform: { readonly required: readonly PlatformBit[]; readonly refused: readonly PlatformBit[] };
  /** Mitigation bits that must have been verified, at launch and now. */
  readonly mitigations: readonly number[];
  /** What the guest began as. There is no `any`: a report about anything is a report about nothing. */
  readonly measurements: readonly AllowedValue[];
  readonly hostData: Allowed;
  readonly idKeyDigests: Allowed;
  readonly authorKeyDigests: Allowed;
  readonly exceptions: readonly PolicyException<SnpException>[];
}

/** A policy from JSON or from a caller that might be wrong. Throws EvidenceError `policy-invalid`. */
export function parseSnpPolicy(value: unknown): SnpPolicy {
  const object = new ClosedObject(value, 'policy', refusePolicy);
  const policy: SnpPolicy = {
    version: object.oneOf('version', [1]),
    kind: object.oneOf('kind', ['sev-snp']),
    products: object.array('products', SNP_PRODUCTS.length, readProduct),
    minimumFirmware: readFirmware(object.object('minimumFirmware')),
    minimumGuestAbi: readAbi(object.object('minimumGuestAbi')),
    minimumGuestSvn: object.integer('minimumGuestSvn', 0, MAX_SVN),
    signers: object.array('signers', 2, (item, path) => oneOf(item, ['vcek', 'vlek'], path)),
    providers: object.array('providers', MAX_PROVIDERS, readProvider),
    chipIds: readAllowed(object, 'chipIds', 64),
    vmpls: object.array('vmpls', MAX_VMPL + 1, (item, path) => checkInteger(item, path, 0, MAX_VMPL, refusePolicy)),
    guestPolicy: readGuestPolicy(object.object('guestPolicy')),
    platform: readPlatform(object.object('platform')),
    mitigations: object.array('mitigations', MITIGATION_BITS, (item, path) =>
      checkInteger(item, path, 0, MITIGATION_BITS - 1, refusePolicy),
    ),
    measurements: readValues(object, 'measurements', 48),
    hostData: readAllowed(object, 'hostData', 32),
    idKeyDigests: readAllowed(object, 'idKeyDigests', 48),
    authorKeyDigests: readAllowed(object, 'authorKeyDigests', 48),
    exceptions: readExceptions(object, EXCEPTIONS),
  };
  object.end();
  if (policy.products.length === 0) refusePolicy('policy.products allows nothing');
  if (policy.signers.length === 0) refusePolicy('policy.signers allows nothing');
  if (policy.vmpls.length === 0) refusePolicy('policy.vmpls allows nothing');
  if (policy.signers.includes('vlek') !== policy.providers.length > 0) {
    refusePolicy('policy.providers names providers exactly where policy.signers allows vlek');
  }
  if (new Set(policy.products.map(({ product }) => product)).size !== policy.products.length) {
    refusePolicy('policy.products has a product twice');
  }
  return policy;
}

function readProduct(item: unknown, path: string): { readonly product: SnpProduct; readonly minimumTcb: SnpTcb } {
  const object = new ClosedObject(item, path, refusePolicy);
  const product = object.oneOf('product', SNP_PRODUCTS);
  const tcb = object.object('minimumTcb');
  const part = (key: string): number => tcb.integer(key, 0, 255);
  const minimumTcb: SnpTcb = {
    fmc: part('fmc'),
    bootloader: part('bootloader'),
    tee: part('tee'),
    snp: part('snp'),
    microcode: part('microcode'),
  };
  tcb.end();
  object.end();
  return { product, minimumTcb };
}

function readFirmware(object: ClosedObject): SnpFirmwareVersion {
  const firmware = {
    major: object.integer('major', 0, 255),
    minor: object.integer('minor', 0, 255),
    build: object.integer('build', 0, 255),
  };
  object.end();
  return firmware;
}

function readAbi(object: ClosedObject): { readonly major: number; readonly minor: number } {
  const abi = { major: object.integer('major', 0, 255), minor: object.integer('minor', 0, 255) };
  object.end();
  return abi;
}

function readProvider(item: unknown, path: string): { readonly cspId: string; readonly reason: string } {
  const object = new ClosedObject(item, path, refusePolicy);
  const provider = { cspId: object.string('cspId', MAX_PROVIDER_CHARACTERS), reason: readReason(object) };
  object.end();
  return provider;
}

function readGuestPolicy(object: ClosedObject): SnpPolicy['guestPolicy'] {
  const bits = (key: string): GuestPolicyBit[] =>
    object.array(key, ORDINARY_BITS.length, (item, path) => oneOf(item, ORDINARY_BITS, path));
  const guestPolicy = { required: bits('required'), allowed: bits('allowed') };
  object.end();
  return guestPolicy;
}

function readPlatform(object: ClosedObject): SnpPolicy['platform'] {
  const known = keysOf(PLATFORM_BITS);
  const bits = (key: string): PlatformBit[] =>
    object.array(key, known.length, (item, path) => oneOf(item, known, path));
  const platform = { required: bits('required'), refused: bits('refused') };
  object.end();
  return platform;
}

function oneOf<const T extends string>(item: unknown, known: readonly T[], path: string): T {
  return known.find((candidate) => candidate === item) ?? refusePolicy(`${path} is not one of ${known.join(', ')}`);
}

function keysOf<T extends string>(table: Readonly<Record<T, number>>): readonly T[] {
  const keys: T[] = [];
  for (const key in table) keys.push(key);
  return keys;
}
