// Where PlatformPei of an OVMF build keeps its variables, found by comparing its volume as it lies in the file with what
// two machines have in memory (host/guestimage/firmware-volumes.ts says why that matters). Pure.
import { toHex } from '@ringwall/bytes';
import type { PlatformInfoLayout } from '@ringwall/host/guestimage';

/** PEIFV as it was measured in a machine of so many processors. */
export interface MeasuredPei {
  readonly cpus: number;
  readonly memory: Uint8Array;
}

/** A layout as a manifest file has it. */
export interface RecordedLayout {
  readonly constants: readonly { readonly offset: number; readonly bytes: string }[];
  readonly cpus: readonly number[];
}

/** Throws where the two differ in something that is not the number of processors. */
export function findLayout(pei: Uint8Array, first: MeasuredPei, second: MeasuredPei): RecordedLayout {
  if (first.memory.length !== pei.length || second.memory.length !== pei.length) {
    throw new Error('the volume in memory has another length than the one in the file');
  }
  const cpus: number[] = [];
  for (let offset = 0; offset + 4 <= pei.length;) {
    const isCount = wordAt(first.memory, offset) === first.cpus && wordAt(second.memory, offset) === second.cpus;
    if (isCount) cpus.push(offset);
    offset += isCount ? 4 : 1;
  }
  const isOfCount = (offset: number): boolean => cpus.some((start) => offset >= start && offset < start + 4);
  const constants: { offset: number; bytes: number[] }[] = [];
  for (const [offset, inFile] of pei.entries()) {
    const inMemory = first.memory[offset] ?? 0;
    if (isOfCount(offset)) continue;
    if (inMemory !== second.memory[offset]) {
      throw new Error(`byte ${offset} of PEIFV follows something else than the number of processors`);
    }
    if (inMemory === inFile) continue;
    const last = constants.at(-1);
    if (last !== undefined && last.offset + last.bytes.length === offset) last.bytes.push(inMemory);
    else constants.push({ offset, bytes: [inMemory] });
  }
  if (cpus.length === 0) throw new Error('PEIFV does not hold the number of processors');
  return { constants: constants.map(({ offset, bytes }) => ({ offset, bytes: toHex(Uint8Array.from(bytes)) })), cpus };
}

export function layoutOf({ constants, cpus }: RecordedLayout): PlatformInfoLayout {
  return { cpus, constants: constants.map(({ offset, bytes }) => ({ offset, bytes: Buffer.from(bytes, 'hex') })) };
}

function wordAt(bytes: Uint8Array, offset: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset, true);
}
