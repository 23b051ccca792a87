// Every reader of bytes that somebody else wrote, with real bytes for it: what bad input is made of. Those that need the
// vectors are left out where they are missing.
import { concatBytes, fromHex, toHex, utf8, Writer } from '@ringwall/bytes';
import {
  ImaReplay,
  parseAttest,
  parseCcel,
  parseCcelTable,
  parseEventData,
  parseEventLog,
  parseFinalEvents,
  parsePublic,
  parseSignature,
  parseSystemdLog,
  readImaText,
  type EventLog,
} from '@ringwall/tpm';
import { agileEvent, agileHeader, SHA384 } from '../../tpm/testing/event-log.ts';
import { readSwtpmEvidence } from '../../tpm/testing/evidence.ts';
import { encodeIma, imaNg } from '../../tpm/testing/ima-list.ts';
import { readFixture, readVector, VECTORS_PRESENT } from '../../tpm/testing/vectors.ts';
import { parseCrl } from '../src/crl.ts';
import {
  certificatesOf,
  decodeReference,
  defaultPolicy,
  encodeCollateral,
  encodeProof,
  encodeReference,
  parseCollateral,
  parsePolicy,
  parseProof,
  parseSnpReport,
  parseTdReport,
  policyJson,
  signReference,
  splitTdxQuote,
} from '../src/index.ts';
import { parsePck } from '../src/tdx/pck.ts';
import { parseQeIdentity } from '../src/tdx/qe-identity.ts';
import { splitSignedJson } from '../src/tdx/intel-json.ts';
import { parseTcbInfo } from '../src/tdx/tcb-info.ts';
import { parseEndorsementKey } from '../src/snp/vek.ts';
import { parseRuntimeFiles } from '../src/watch/runtime-files.ts';
import { parseWatchRecord, renderWatchRecord } from '../src/watch/record.ts';
import { parsePemChain } from '../src/x509-pem.ts';
import { parseCertificate } from '../src/x509.ts';
import { hasVectors, realSnp, realTdx } from './real-hardware.ts';
import { makeProof, makeSigner } from './proofs.ts';
import { makeScene } from './scene.ts';
import { makeWatched } from './watching.ts';

export interface Reader {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** It takes a value or a text that its caller has bounded. */
  readonly takesText?: boolean;
  readonly read: (bytes: Uint8Array) => void;
}

const EVENT_LOGS: readonly string[] = [
  'go-attestation/coreos_36_shielded_vm_no_secure_boot_eventlog',
  'go-attestation/crypto_agile_eventlog',
  'go-attestation/ebs_event_missing_eventlog',
  'go-attestation/option_rom_eventlog',
  'go-attestation/sb_cert_eventlog',
  'go-attestation/short_no_action_eventlog',
  'go-tpm-tools/arch-linux-workstation.bin',
  'go-tpm-tools/confidential-gke-debug-251000_eventlog.bin',
  'go-tpm-tools/cos-101-amd-sev.bin',
  'go-tpm-tools/debian-10.bin',
  'go-tpm-tools/glinux-alex.bin',
  'go-tpm-tools/rhel8-uefi.bin',
  'go-tpm-tools/ubuntu-2104-no-dbx.bin',
  'go-tpm-tools/ubuntu-2404-amd-sevsnp.bin',
  'tpm2-tools/event-bootorder.bin',
  'tpm2-tools/event-moklisttrusted.bin',
  'tpm2-tools/event-postcode.bin',
  'tpm2-tools/event-sd-boot-fedora37.bin',
  'tpm2-tools/event-uefi-sha1-log.bin',
];

export async function allReaders(): Promise<readonly Reader[]> {
  const own = [...logReaders(), ...structureReaders(), ...(await fileReaders())];
  return VECTORS_PRESENT && hasVectors ? [...own, ...vectorReaders(), ...hardwareReaders()] : own;
}

function logReaders(): readonly Reader[] {
  const list = encodeIma(...Array.from({ length: 40 }, (_, index) => imaNg(`/usr/bin/program-${index}`)));
  const log = parseEventLog(readFixture('ovmf-direct-boot.bin'));
  const separator = { pcr: 1, type: 4, data: new Uint8Array(4) };
  const ccel = concatBytes(agileHeader(SHA384, 1), agileEvent(separator, SHA384), agileEvent(separator, SHA384));
  const table = concatBytes(new Writer().u64le(1n).u64le(2n).finish(), agileEvent(separator), agileEvent(separator));
  const digests = [{ hashAlg: 'sha256', digest: 'ab'.repeat(32) }];
  const content = { eventType: 'phase', string: 'enter-initrd', bootId: 'cd'.repeat(16), timestamp: 1, nonce: 2 };
  const record = { pcr: 11, digests, content_type: 'systemd', content };
  return [
    { name: 'the event log of OVMF', bytes: readFixture('ovmf-direct-boot.bin'), read: readLogAndData },
    { name: 'an IMA list', bytes: list, read: replayIma },
    { name: 'a CCEL', bytes: ccel, read: (bytes) => dataOf(parseCcel(bytes, { padding: 'allowed' })) },
    { name: 'an ACPI table of a CCEL', bytes: acpiTable(), read: parseCcelTable },
    { name: 'final events', bytes: table, read: (bytes) => parseFinalEvents(bytes, log) },
    {
      name: 'a log of systemd',
      bytes: utf8(`\u001e${JSON.stringify(record)}\n\u001e${JSON.stringify(record)}\n`),
      read: parseSystemdLog,
    },
  ];
}

function structureReaders(): readonly Reader[] {
  const { akPublic, ekPublic } = readSwtpmEvidence();
  return [
    { name: 'a public area of an AK', bytes: akPublic, read: parsePublic },
    { name: 'a public area of an EK', bytes: ekPublic, read: parsePublic },
  ];
}

async function fileReaders(): Promise<readonly Reader[]> {
  const [scene, signer, watched] = [await makeScene(), await makeSigner(), await makeWatched()];
  const { quote, quoteSignature, ekCertificate } = await scene.evidence();
  const { firmware, image, events } = scene.reference;
  const [notBefore, notAfter] = [new Date('2026-01-01T00:00:00Z'), new Date('2026-12-31T00:00:00Z')];
  const kernel = { name: 'vmlinuz', digest: 'cd'.repeat(32) };
  const about = { by: 'a test', for: { firmware, kernel, image }, events, packages: [], notBefore, notAfter };
  const reference = encodeReference(await signReference(about, signer));
  const policy = JSON.stringify(policyJson(defaultPolicy));
  return [
    { name: 'a quote', bytes: quote, read: parseAttest },
    { name: 'a signature', bytes: quoteSignature, read: parseSignature },
    { name: 'an EK certificate', bytes: ekCertificate, read: parseCertificate },
    { name: 'a proof', bytes: utf8(encodeProof(await makeProof(scene, signer))), read: parseProof },
    { name: 'reference values', bytes: utf8(reference), read: decodeReference },
    { name: 'a policy', bytes: utf8(policy), takesText: true, read: (bytes) => parsePolicy(parseJson(bytes)) },
    {
      name: 'the record of a watch',
      takesText: true,
      bytes: utf8(renderWatchRecord(watched.record)),
      read: (bytes) => parseWatchRecord(latin1(bytes)),
    },
    {
      name: 'a list of files',
      takesText: true,
      bytes: utf8('{"version":1,"image":"hello","packages":[["busybox","1"]],"files":[["/bin/sh","00",0]]}'),
      read: (bytes) => parseRuntimeFiles(latin1(bytes)),
    },
  ];
}

function vectorReaders(): readonly Reader[] {
  const keylime = (name: string): Uint8Array => readVector(`quote/keylime/${name}`);
  return [
    ...EVENT_LOGS.map((name) => ({
      name: `the event log ${name}`,
      bytes: readVector(`eventlog/${name}`),
      read: readLogAndData,
    })),
    { name: 'keylime’s quote', bytes: keylime('quote.out'), read: parseAttest },
    { name: 'keylime’s signature', bytes: keylime('quotesig.out'), read: parseSignature },
    { name: 'keylime’s AK', bytes: keylime('ak.pub').subarray(2), read: parsePublic },
    { name: 'keylime’s EK', bytes: keylime('ek.pub').subarray(2), read: parsePublic },
    {
      name: 'an IMA list in text',
      bytes: readVector('ima/rust-keylime/ascii_runtime_measurements').subarray(0, 16 * 1024),
      read: (bytes) => replayIma(concatBytes(...readImaText([bytes]))),
    },
  ];
}

function hardwareReaders(): readonly Reader[] {
  const [snp, tdx] = [realSnp(), realTdx()];
  const { tcbInfo, qeIdentity, crls } = tdx.collateral;
  const chain = readVector('snp/virtee-sev/cert_chain_milan');
  const [vcek = new Uint8Array(), ...others] = snp.collateral.certificates;
  const [pck = new Uint8Array()] = certificatesOf(splitTdxQuote(tdx.quote).pckChain);
  return [
    { name: 'an SNP report', bytes: snp.report, read: parseSnpReport },
    { name: 'a VCEK', bytes: vcek, read: (bytes) => parseEndorsementKey(parseCertificate(bytes)) },
    ...others.map((bytes, index) => ({ name: `AMD’s certificate ${index}`, bytes, read: parseCertificate })),
    { name: 'a chain in PEM', bytes: chain, read: parsePemChain },
    { name: 'a chain in PEM or DER', bytes: chain, read: certificatesOf },
    { name: 'a TDX quote', bytes: tdx.quote, read: readTdxQuote },
    { name: 'a PCK', bytes: pck, read: (bytes) => parsePck(parseCertificate(bytes)) },
    { name: 'TCB info', bytes: tcbInfo, read: (bytes) => parseTcbInfo(splitSignedJson(bytes, 'tcbInfo').text) },
    {
      name: 'a QE identity',
      bytes: qeIdentity,
      read: (bytes) => parseQeIdentity(splitSignedJson(bytes, 'enclaveIdentity').text),
    },
    ...crls.map((bytes, index) => ({ name: `Intel’s revocation list ${index}`, bytes, read: parseCrl })),
    { name: 'collateral', bytes: encodeCollateral({ kind: 'tdx', ...tdx.collateral }), read: parseCollateral },
  ];
}

function readLogAndData(bytes: Uint8Array): void {
  dataOf(parseEventLog(bytes, { padding: 'allowed' }));
}

function dataOf({ events }: EventLog): void {
  for (const event of events) parseEventData(event);
}

function replayIma(bytes: Uint8Array): void {
  const ima = new ImaReplay({ onEntry: () => undefined });
  ima.push(bytes);
  ima.end();
}

function readTdxQuote(bytes: Uint8Array): void {
  const { tdReport, tdReportVersion, pckChain } = splitTdxQuote(bytes);
  parseTdReport(tdReport, tdReportVersion);
  certificatesOf(pckChain);
}

/** ACPI 6.5 table 5.4 and the CCEL of UEFI 2.10 section 38.4.1. */
function acpiTable(): Uint8Array {
  return fromHex(`${toHex(utf8('CCEL'))}38000000${'00'.repeat(28)}0200000000000100000000000000${'00'.repeat(6)}`);
}

/** As callers read it: what is no JSON never comes to a parser of values. */
function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(latin1(bytes));
  } catch {
    return undefined;
  }
}

function latin1(bytes: Uint8Array): string {
  return new TextDecoder('latin1').decode(bytes);
}
