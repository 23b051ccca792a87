// Which data of an event was measured: for some types the digest is that of the data (PC Client Platform Firmware
// Profile 1.06 section 10.4.1, column "Digest"), for most it is of something that only the digest names. Whoever wrote
// the log chose type and data; data may be believed where its hash is the digest, and nowhere else.

import { equalBytes, ParseError } from '@ringwall/bytes';
import type { LogEvent } from '../event-log.ts';
import { EV } from '../event-types.ts';
import { digest, type ComputableHash } from '../hash.ts';
import { iplCandidates } from './ipl.ts';
import { parseTaggedEvent } from './tagged-event.ts';
import { parseAuthorityVariable, parseUefiVariable } from './uefi-variable.ts';

/**
 * `always`: the specification says so, and data that does not hash to the digest was rewritten. `sometimes`: some
 * firmware or boot loader measures what it logs, so that a match proves the data and a difference says nothing.
 */
export type DataRule = 'always' | 'sometimes' | 'never';

/** What `standingOfData` says of an event's data. */
export type DataStanding =
  /** The digest is that of this data: it is what was measured. */
  | 'measured'
  /** Only words beside the digest. */
  | 'informative'
  /** The digest should be that of the data and is not: the log was rewritten. */
  | 'contradicted';

const ALWAYS: ReadonlySet<number> = new Set([
  EV.SEPARATOR,
  EV.ACTION,
  EV.S_CRTM_VERSION,
  EV.OMIT_BOOT_DEVICE_EVENTS,
  EV.EFI_VARIABLE_DRIVER_CONFIG,
  EV.EFI_VARIABLE_BOOT,
  EV.EFI_VARIABLE_BOOT2,
  EV.EFI_GPT_EVENT,
  EV.EFI_ACTION,
  EV.EFI_VARIABLE_AUTHORITY,
  EV.EFI_SPDM_DEVICE_POLICY,
  EV.EFI_SPDM_DEVICE_AUTHORITY,
]);

const SOMETIMES: ReadonlySet<number> = new Set([
  EV.EVENT_TAG,
  EV.PLATFORM_CONFIG_FLAGS,
  EV.TABLE_OF_DEVICES,
  EV.COMPACT_HASH,
  EV.IPL,
  EV.IPL_PARTITION_DATA,
  EV.NONHOST_CODE,
  EV.NONHOST_CONFIG,
  EV.NONHOST_INFO,
  EV.EFI_HANDOFF_TABLES,
  EV.EFI_HANDOFF_TABLES2,
  EV.EFI_GPT_EVENT2,
  EV.EFI_SPDM_FIRMWARE_BLOB,
  EV.EFI_SPDM_FIRMWARE_CONFIG,
]);

/** Of a type that is not known: never. */
export function dataIsMeasured(type: number): DataRule {
  if (ALWAYS.has(type)) return 'always';
  return SOMETIMES.has(type) ? 'sometimes' : 'never';
}

/** Compares the data with the digest in `bank`; an event without one says nothing. */
export async function standingOfData(event: LogEvent, bank: ComputableHash): Promise<DataStanding> {
  const rule = dataIsMeasured(event.type);
  const measured = event.digests.get(bank);
  if (rule === 'never' || measured === undefined) return 'informative';
  for (const candidate of candidates(event)) {
    if (equalBytes(await digest(bank, candidate), measured)) return 'measured';
  }
  return rule === 'always' ? 'contradicted' : 'informative';
}

/** The bytes that the digest of such an event may be over. */
function candidates(event: LogEvent): readonly Uint8Array[] {
  const { type, data } = event;
  switch (type) {
    case EV.EFI_VARIABLE_BOOT:
      // The specification says the variable's data alone; some firmware hashes the whole structure.
      return [data, ...parts(() => [parseUefiVariable(data).data])];
    case EV.EFI_VARIABLE_AUTHORITY:
      // shim before 15.3: see parseAuthorityVariable.
      return [data, ...parts(() => (parseAuthorityVariable(data, 0).data.length > 0 ? [data.subarray(0, -1)] : []))];
    case EV.EVENT_TAG:
      return [data, ...parts(() => parseTaggedEvent(data, 0).tags.map((tag) => tag.data))];
    case EV.IPL:
      return iplCandidates(data);
    default:
      return [data];
  }
}

/** None where the data does not hold together. */
function parts(parse: () => readonly Uint8Array[]): readonly Uint8Array[] {
  try {
    return parse();
  } catch (error) {
    if (error instanceof ParseError) return [];
    throw error;
  }
}
