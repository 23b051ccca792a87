// The plain verifier of a boot that drills compare with, as scripts around the tools have it: tpm2_checkquote for the
// quote, tpm2_eventlog for the log, the log's PCRs against the quote's, and then the log's text against what was expected.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { equalBytes, fromHex, toHex } from '@ringwall/bytes';
import { run } from '@ringwall/host/exec';
import type { VtpmEvidence } from '@ringwall/evidence';
import { parseAttest, pcrDigest } from '@ringwall/tpm';
import { plainVerify, type PlainVerdict } from './verifier.ts';

const EVENTLOG = '/usr/bin/tpm2_eventlog';
const PCR_BYTES = 32;

export interface ExpectedText {
  /** As GRUB writes it into the log. */
  readonly commandLine: string;
  /** How many programs the firmware starts. */
  readonly applications: number;
}

/** Whether the quote is good, the log replays to it, and the log reads as expected. */
export async function plainVerifyBoot(
  directory: string,
  evidence: VtpmEvidence,
  expected: ExpectedText,
): Promise<PlainVerdict> {
  const quote = parseAttest(evidence.quote);
  const quoted = await plainVerify(directory, evidence, toHex(quote.extraData));
  if (!quoted.accepted) return quoted;
  const path = join(directory, 'eventlog');
  writeFileSync(path, evidence.eventLog);
  const text = (await run([EVENTLOG, path], { timeoutMs: 10_000 })).stdout.toString();
  if (quote.type !== 'quote') return { accepted: false, seen: 'not a quote' };
  const pcrs = quote.attested.pcrSelect.flatMap((selection) => selection.pcrs);
  const replayed = await pcrDigest(readPcrs(text), pcrs);
  if (!equalBytes(replayed, quote.attested.pcrDigest)) return { accepted: false, seen: 'the log does not replay' };
  const commandLine = /kernel_cmdline: ([^"]*)/.exec(text)?.[1];
  if (commandLine !== expected.commandLine)
    return { accepted: false, seen: `command line ${commandLine ?? 'missing'}` };
  const applications = text.split('EventType: EV_EFI_BOOT_SERVICES_APPLICATION').length - 1;
  if (applications !== expected.applications) return { accepted: false, seen: `${applications} programs were started` };
  return { accepted: true, seen: `the quote is good, the log replays to it and says: ${commandLine}` };
}

/** The PCRs that tpm2_eventlog computes; one without an event is zero. */
function readPcrs(text: string): Map<number, Uint8Array> {
  const values = new Map(Array.from({ length: 24 }, (_, pcr) => [pcr, new Uint8Array(PCR_BYTES)]));
  for (const [, pcr = '', value = ''] of text.matchAll(/^ {4}(\d+) *: 0x([0-9a-f]{64})$/gm)) {
    values.set(Number(pcr), fromHex(value));
  }
  return values;
}
