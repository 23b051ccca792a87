// Saves a witness with its TPM, and has one go on from that: the same boot goes on, and the record of it from where it was. A record
// that does not lead to the PCRs of its TPM is neither saved nor gone on from.
import { RingwallError } from '@ringwall/api';
import { toHex } from '@ringwall/bytes';
import { DEMANDED_PCRS, tpmOver, type Tpm } from '@ringwall/tpm';
import type { SwtpmControl } from '../swtpm/control-channel.ts';
import type { BootRecord } from './boot-record.ts';
import { encodeSavedWitness, parseSavedWitness } from './saved-state.ts';
import type { TpmLine } from './tpm-line.ts';

/** TPM2_PCR_Read answers as many at once. */
const PCRS_AT_ONCE = 8;

export interface Keeping {
  readonly line: TpmLine;
  readonly record: BootRecord;
  readonly control: Pick<SwtpmControl, 'readState' | 'loadState'>;
}

/** While the VMM stands still and waits for no answer; the TPM stays as it is. */
export async function saveState({ line, record, control }: Keeping): Promise<Uint8Array> {
  return line.exclusively(async (transport) => {
    if (record.overflowed) throw new RingwallError('tpm-failed', 'the guest measured more than anybody judges');
    await requireRecorded(tpmOver(transport), record);
    return encodeSavedWitness({ extensions: record.extensions, tpm: await control.readState() });
  });
}

/** Before the VMM's first command, into an empty record and a TPM that is not switched on. */
export async function loadState({ line, record, control }: Keeping, saved: Uint8Array): Promise<void> {
  const { extensions, tpm } = parseSavedWitness(saved);
  for (const extension of extensions) record.add(extension);
  if (!record.exited) throw new RingwallError('tpm-failed', 'the record ends before the firmware has handed over');
  await line.exclusively(async (transport) => {
    await control.loadState(tpm);
    await requireRecorded(tpmOver(transport), record);
  });
}

async function requireRecorded(tpm: Tpm, record: BootRecord): Promise<void> {
  const led = record.values();
  for (let first = 0; first < DEMANDED_PCRS.length; first += PCRS_AT_ONCE) {
    const pcrs = DEMANDED_PCRS.slice(first, first + PCRS_AT_ONCE);
    const { pcrValues } = await tpm.pcrRead(pcrs);
    for (const [index, pcr] of pcrs.entries()) {
      const [is, expected] = [pcrValues[index], led.get(pcr)].map((value) => toHex(value ?? new Uint8Array()));
      if (is === expected) continue;
      const words = [is, expected].map((digest) => `${digest?.slice(0, 12) ?? ''}…`);
      throw new RingwallError('tpm-failed', `PCR ${pcr} is ${words[0]}, and its record leads to ${words[1]}`);
    }
  }
}
