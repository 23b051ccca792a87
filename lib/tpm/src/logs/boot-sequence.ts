// The order in which a boot may be measured: which types of events a PCR takes, one separator in each of PCRs 0 to 7,
// nothing that configures behind it, nothing at all behind ExitBootServices. PC Client Platform Firmware Profile 1.06
// sections 3.3.4 (use of PCRs) and 8.2.3 (separators).
// Types are not authenticated: ExitBootServices is known by its digest, a separator by type and digest, and a type only
// decides what is refused. What was booted is for reference values to say. Other things can have a separator's digest
// too, as the boot order of Boot0001 and Boot0000 has that of an error: such an event is a fault of its own, for the log
// cannot tell which of them the firmware measured.

import { equalBytes, ParseError, utf8 } from '@ringwall/bytes';
import { parseEventData } from '../event-data.ts';
import { replayEventLog, type EventLog, type LogEvent } from '../event-log.ts';
import { EV } from '../event-types.ts';
import { digest, type ComputableHash } from '../hash.ts';
import { standingOfData } from './measured-data.ts';

/** PCRs that firmware owns: each has one separator, which ends what may configure the boot. */
const SEPARATED_PCRS = 8;
/** PCRs that start as all zeros and that the operating system does not reset; 16 and 23 are, 17 to 22 are a launch's. */
const LAST_BOOT_PCR = 15;
const EXIT_PCR = 5;
/** What firmware measures when the operating system takes over. */
const EXITED = utf8('Exit Boot Services Returned with Success');

const APPLICATIONS = [
  EV.EFI_BOOT_SERVICES_APPLICATION,
  EV.EFI_BOOT_SERVICES_DRIVER,
  EV.EFI_RUNTIME_SERVICES_DRIVER,
] as const;
const ACTIONS = [EV.ACTION, EV.EFI_ACTION] as const;
const BLOBS = [EV.EFI_PLATFORM_FIRMWARE_BLOB, EV.EFI_PLATFORM_FIRMWARE_BLOB2] as const;
const TABLES = [EV.EFI_HANDOFF_TABLES, EV.EFI_HANDOFF_TABLES2] as const;
const BOOT_VARIABLES = [EV.EFI_VARIABLE_BOOT, EV.EFI_VARIABLE_BOOT2] as const;
const PARTITIONS = [EV.EFI_GPT_EVENT, EV.EFI_GPT_EVENT2, EV.IPL_PARTITION_DATA] as const;
const AUTHORITIES = [EV.EFI_VARIABLE_AUTHORITY, EV.EFI_SPDM_DEVICE_AUTHORITY] as const;
const POST_CODES = [EV.POST_CODE, EV.POST_CODE2] as const;
/** What boot loaders and operating systems write into PCRs 8 to 15. */
const LOADER = [EV.IPL, EV.EVENT_TAG, EV.COMPACT_HASH, EV.SEPARATOR, ...ACTIONS, ...AUTHORITIES] as const;

interface PcrRule {
  /** Types up to the separator. */
  readonly before: ReadonlySet<number>;
  /** Types behind it. */
  readonly after: ReadonlySet<number>;
}

/** Section 3.3.4, with what firmware in use puts there beside it. */
const RULES: readonly PcrRule[] = [
  rule(
    [
      ...[EV.S_CRTM_CONTENTS, EV.S_CRTM_VERSION, EV.EFI_HCRTM_EVENT, EV.NONHOST_CODE, EV.NONHOST_INFO, EV.EVENT_TAG],
      ...[EV.CPU_MICROCODE, ...POST_CODES, ...BLOBS, ...APPLICATIONS, ...ACTIONS],
    ],
    [],
  ),
  rule(
    [
      ...[EV.CPU_MICROCODE, EV.PLATFORM_CONFIG_FLAGS, EV.TABLE_OF_DEVICES, EV.NONHOST_CONFIG, EV.EVENT_TAG],
      ...[EV.EFI_VARIABLE_DRIVER_CONFIG, ...BOOT_VARIABLES, ...TABLES, ...ACTIONS, ...POST_CODES, ...BLOBS],
    ],
    // Older firmware measures boot options and tables only when it is ready to boot.
    [...BOOT_VARIABLES, ...TABLES],
  ),
  rule([...APPLICATIONS, ...ACTIONS, ...BLOBS, EV.EFI_SPDM_FIRMWARE_BLOB, EV.EVENT_TAG], [...APPLICATIONS]),
  rule(
    [
      ...[EV.EFI_VARIABLE_DRIVER_CONFIG, EV.EFI_SPDM_FIRMWARE_CONFIG, EV.PLATFORM_CONFIG_FLAGS, EV.NONHOST_CONFIG],
      ...[EV.EVENT_TAG, ...ACTIONS],
    ],
    [],
  ),
  rule(
    [...APPLICATIONS, ...ACTIONS, EV.OMIT_BOOT_DEVICE_EVENTS, EV.EVENT_TAG],
    [...APPLICATIONS, ...ACTIONS, EV.COMPACT_HASH, EV.IPL, EV.EVENT_TAG],
  ),
  rule([...ACTIONS, ...PARTITIONS, EV.EVENT_TAG], [...ACTIONS, ...PARTITIONS, EV.IPL, EV.EVENT_TAG]),
  rule([EV.COMPACT_HASH, EV.EVENT_TAG, ...ACTIONS], []),
  rule([EV.EFI_VARIABLE_DRIVER_CONFIG, EV.EFI_SPDM_DEVICE_POLICY, ...AUTHORITIES, ...ACTIONS], [...AUTHORITIES]),
];
const LOADER_RULE = rule(LOADER, LOADER);

export type BootFaultCode =
  | 'unknown-type' // a type that the specification does not list, or has taken back
  | 'type-of-another-pcr'
  | 'malformed' // data that is not of its type's form
  | 'contradicted' // data that is not what was measured
  | 'separator-missing'
  | 'separator-twice'
  | 'separator-forged' // it is called a separator and has another digest
  | 'separator-ambiguous' // it has a separator's digest and another type
  | 'firmware-error' // the separator that says that firmware failed
  | 'after-separator'
  | 'after-exit'; // measured by somebody after the operating system took over

export interface BootFault {
  readonly code: BootFaultCode;
  readonly pcr: number;
  /** Undefined where an event is missing. */
  readonly index: number | undefined;
  readonly message: string;
}

export interface BootSequence {
  readonly faults: readonly BootFault[];
  /**
   * ExitBootServices was measured. Where it was not, whatever ran may have extended the PCRs of the firmware itself, and
   * have put events into the log that look like the firmware's.
   */
  readonly exited: boolean;
}

/** Every way in which a TPM's log is not the boot of a PC. For a CCEL it says nothing: its registers are others. */
export async function checkBootSequence(log: EventLog, bank: ComputableHash): Promise<BootSequence> {
  const marks = await markDigests(bank);
  const faults: BootFault[] = [];
  const separated = new Map<number, number>();
  let exited = false;
  for (const event of log.events) {
    if (event.type === EV.NO_ACTION) continue;
    const fault = (code: BootFaultCode, detail: string): void => {
      faults.push({ code, pcr: event.pcr, index: event.index, message: `${describe(event)} ${detail}` });
    };
    const mark = marks.find((known) => isDigest(event, bank, known.digest))?.meaning;
    if (exited && event.pcr <= LAST_BOOT_PCR) fault('after-exit', 'stands behind ExitBootServices');
    if (event.pcr === EXIT_PCR && mark === 'exited') exited = true;
    const separates = mark === 'separator' || mark === 'error';
    if (event.pcr < SEPARATED_PCRS && event.type === EV.SEPARATOR) {
      if (!separates) fault('separator-forged', 'has not the digest of a separator');
      if (mark === 'error') fault('firmware-error', 'says that firmware failed');
      if (separated.has(event.pcr)) fault('separator-twice', `comes after that of event ${separated.get(event.pcr)}`);
      separated.set(event.pcr, event.index);
    } else {
      if (event.pcr < SEPARATED_PCRS && separates) fault('separator-ambiguous', 'has the digest of a separator');
      checkType(event, separated.has(event.pcr), fault);
    }
    await checkData(event, bank, fault);
  }
  for (let pcr = 0; pcr < SEPARATED_PCRS; pcr += 1) {
    if (separated.has(pcr)) continue;
    faults.push({ code: 'separator-missing', pcr, index: undefined, message: `PCR ${pcr} has no separator` });
  }
  return { faults, exited };
}

export type PcrStanding =
  /** The log leads to the quoted value. */
  | 'replayed'
  /** The log has events for it and leads elsewhere. */
  | 'differs'
  /** It was extended, and the log says nothing of it. */
  | 'unlogged'
  /** A PCR that no log can have: above 23. */
  | 'unknown';

/** Each quoted PCR beside the log. Anything but `replayed` is a reason to refuse. */
export async function comparePcrs(
  log: EventLog,
  bank: ComputableHash,
  quoted: ReadonlyMap<number, Uint8Array>,
): Promise<ReadonlyMap<number, PcrStanding>> {
  const replayed = await replayEventLog(log, bank);
  const logged = new Set(log.events.filter(({ type }) => type !== EV.NO_ACTION).map(({ pcr }) => pcr));
  const standing = (pcr: number, value: Uint8Array): PcrStanding => {
    const expected = replayed.get(pcr);
    if (expected === undefined) return 'unknown';
    if (equalBytes(expected, value)) return 'replayed';
    return logged.has(pcr) ? 'differs' : 'unlogged';
  };
  return new Map([...quoted].map(([pcr, value]) => [pcr, standing(pcr, value)]));
}

function checkType(event: LogEvent, separated: boolean, fault: (code: BootFaultCode, detail: string) => void): void {
  const known = parseEventData(event).kind !== 'unknown';
  if (!known) {
    fault('unknown-type', 'is of a type that is not known');
    return;
  }
  const allowed = RULES[event.pcr] ?? (event.pcr <= LAST_BOOT_PCR ? LOADER_RULE : undefined);
  // PCRs 16 and 23 are anybody's; a dynamic launch has a log of its own kind.
  if (allowed === undefined) return;
  if (!allowed.before.has(event.type) && !allowed.after.has(event.type)) {
    fault('type-of-another-pcr', `is of a type that PCR ${event.pcr} does not take`);
  } else if (separated && !allowed.after.has(event.type)) {
    fault('after-separator', 'stands behind the separator, where nothing may configure the boot');
  }
}

async function checkData(
  event: LogEvent,
  bank: ComputableHash,
  fault: (code: BootFaultCode, detail: string) => void,
): Promise<void> {
  const data = parseEventData(event);
  if (data.kind === 'malformed') fault('malformed', `has data of another form: ${data.reason}`);
  if ((await standingOfData(event, bank)) === 'contradicted') fault('contradicted', 'has data that was not measured');
}

interface Mark {
  readonly meaning: 'separator' | 'error' | 'exited';
  readonly digest: Uint8Array;
}

async function markDigests(bank: ComputableHash): Promise<readonly Mark[]> {
  const mark = async (meaning: Mark['meaning'], data: Uint8Array): Promise<Mark> => ({
    meaning,
    digest: await digest(bank, data),
  });
  return Promise.all([
    mark('separator', new Uint8Array(4)),
    mark('separator', new Uint8Array(4).fill(0xff)),
    mark('error', Uint8Array.of(1, 0, 0, 0)),
    mark('exited', EXITED),
  ]);
}

function isDigest(event: LogEvent, bank: ComputableHash, value: Uint8Array): boolean {
  const measured = event.digests.get(bank);
  if (measured === undefined) throw new ParseError('invalid', 'event', event.offset, `${event.index} has no ${bank}`);
  return equalBytes(measured, value);
}

function describe(event: LogEvent): string {
  return `event ${event.index} (PCR ${event.pcr}, ${event.typeName})`;
}

function rule(before: readonly number[], after: readonly number[]): PcrRule {
  return { before: new Set(before), after: new Set(after) };
}
