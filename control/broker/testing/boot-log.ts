// A small measured boot for tests: its event log in the crypto-agile format (PC Client Platform Firmware Profile section
// 10.4.5) with the SHA-256 bank alone, the PCRs that it leads to, and the reference values that expect it.
import { createHash } from 'node:crypto';
import { concatBytes, toHex, utf8 } from '@ringwall/bytes';
import type { ReferenceContent } from '@ringwall/evidence';
import { encodeEventLog, PCR_COUNT, TPM_ALG } from '@ringwall/tpm';
import { imageDigest } from './image.ts';
import { EMPTY_CONTENT } from './reference.ts';

export interface BootEvent {
  readonly pcr: number;
  readonly type: string;
  readonly data: Uint8Array;
  readonly measured: Uint8Array;
  readonly what: string;
}

const TYPES: Readonly<Record<string, number>> = {
  EV_NO_ACTION: 3,
  EV_SEPARATOR: 4,
  EV_COMPACT_HASH: 0xc,
  EV_EFI_BOOT_SERVICES_APPLICATION: 0x8000_0003,
};

/** What is measured when `kernel` is booted: a separator in each PCR of the firmware, and the kernel in PCR 4. */
export function bootEvents(kernel = 'a kernel'): BootEvent[] {
  const separators = [0, 1, 2, 3, 4, 5, 6, 7].map((pcr) => ({
    pcr,
    type: 'EV_SEPARATOR',
    data: new Uint8Array(4),
    measured: new Uint8Array(4),
    what: 'separator',
  }));
  const image = {
    pcr: 4,
    type: 'EV_EFI_BOOT_SERVICES_APPLICATION',
    data: utf8('where it was loaded'),
    measured: utf8(kernel),
    what: 'kernel',
  };
  return [...separators, image];
}

/** `image`: a byte that names the version of the image. */
export function contentFor(events: readonly BootEvent[], image?: string): ReferenceContent {
  return {
    ...EMPTY_CONTENT,
    for: { ...EMPTY_CONTENT.for, image: { name: 'hello', digest: imageDigest(image) } },
    events: events.map(({ pcr, type, measured, what }) => ({ pcr, type, digest: toHex(sha256(measured)), what })),
  };
}

export function encodeLog(events: readonly BootEvent[]): Uint8Array<ArrayBuffer> {
  return encodeEventLog(
    [{ algorithmId: TPM_ALG.SHA256, digestBytes: 32 }],
    events.map(({ pcr, type, data, measured }) => ({ pcr, type: TYPES[type] ?? 0, digests: [sha256(measured)], data })),
  );
}

export function replay(events: readonly BootEvent[]): Map<number, Uint8Array> {
  const pcrs = new Map<number, Uint8Array>();
  for (let pcr = 0; pcr < PCR_COUNT; pcr += 1) pcrs.set(pcr, new Uint8Array(32));
  for (const { pcr, measured } of events) {
    pcrs.set(pcr, sha256(concatBytes(pcrs.get(pcr) ?? new Uint8Array(32), sha256(measured))));
  }
  return pcrs;
}

export function sha256(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash('sha256').update(bytes).digest());
}
