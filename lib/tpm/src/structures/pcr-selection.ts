// TPML_PCR_SELECTION, TPM 2.0 Part 2 sections 10.6.2 and 10.9.7: which PCRs of which banks.

import { Writer, type Cursor } from '@ringwall/bytes';
import { PCR_COUNT, PCR_SELECT_BYTES, TPM_ALG } from '../constants.ts';
import { TpmError } from '../tpm-error.ts';

/** HASH_COUNT of the reference implementation is below this; a list may not name more banks than that. */
const MAX_SELECTIONS = 16;
/** PCR_SELECT_MAX of a PC Client TPM is 3 bytes; 4 would still be a legal encoding elsewhere. */
const MAX_SELECT_BYTES = 4;

/** One TPMS_PCR_SELECTION; `pcrs` ascends. */
export interface TPMS_PCR_SELECTION {
  readonly hash: number;
  readonly pcrs: readonly number[];
}

/** One bank's PCRs as TPML_PCR_SELECTION. */
export function encodePcrSelection(hash: number, pcrs: readonly number[]): Uint8Array<ArrayBuffer> {
  return encodePcrSelections([{ hash, pcrs }]);
}

/** Which PCRs a command takes: numbers stand for the SHA-256 bank. */
export type PcrChoice = readonly number[] | readonly TPMS_PCR_SELECTION[];

/** TPML_PCR_SELECTION of a choice. No PCR at all is one empty selection of the SHA-256 bank. */
export function encodePcrChoice(pcrs: PcrChoice): Uint8Array<ArrayBuffer> {
  const selections = pcrs.filter((pcr) => typeof pcr !== 'number');
  if (selections.length > 0) return encodePcrSelections(selections);
  return encodePcrSelection(
    TPM_ALG.SHA256,
    pcrs.filter((pcr) => typeof pcr === 'number'),
  );
}

/** TPML_PCR_SELECTION of any banks. */
export function encodePcrSelections(selections: readonly TPMS_PCR_SELECTION[]): Uint8Array<ArrayBuffer> {
  const writer = new Writer().u32be(selections.length);
  for (const { hash, pcrs } of selections) writer.u16be(hash).u8(PCR_SELECT_BYTES).bytes(pcrBitmap(pcrs));
  return writer.finish();
}

/** The 3 bytes in which bit n of the whole stands for PCR n. */
export function pcrBitmap(pcrs: readonly number[]): Uint8Array<ArrayBuffer> {
  const bitmap = new Uint8Array(PCR_SELECT_BYTES);
  for (const pcr of pcrs) {
    if (!Number.isInteger(pcr) || pcr < 0 || pcr >= PCR_COUNT) {
      throw new TpmError('parameter', `pcr ${pcr}, expected 0 to ${PCR_COUNT - 1}`);
    }
    bitmap[pcr >> 3] = (bitmap[pcr >> 3] ?? 0) | (1 << (pcr & 7));
  }
  return bitmap;
}

export function readPcrSelections(cursor: Cursor, field: string): readonly TPMS_PCR_SELECTION[] {
  const count = cursor.u32be(`${field}.count`);
  if (count > MAX_SELECTIONS) {
    throw cursor.error('limit', `${field}.count`, `${count}, expected at most ${MAX_SELECTIONS}`);
  }
  return Array.from({ length: count }, () => {
    const hash = cursor.u16be(`${field}.hash`);
    const sizeofSelect = cursor.u8(`${field}.sizeofSelect`);
    if (sizeofSelect > MAX_SELECT_BYTES) {
      throw cursor.error('limit', `${field}.sizeofSelect`, `${sizeofSelect}, expected at most ${MAX_SELECT_BYTES}`);
    }
    return { hash, pcrs: pcrsIn(cursor.take(sizeofSelect, `${field}.pcrSelect`)) };
  });
}

function pcrsIn(bitmap: Uint8Array): readonly number[] {
  return Array.from(bitmap, (byte, index) => bits(byte).map((bit) => index * 8 + bit)).flat();
}

function bits(byte: number): readonly number[] {
  return [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (byte & (1 << bit)) !== 0);
}
