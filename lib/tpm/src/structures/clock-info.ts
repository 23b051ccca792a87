// TPMS_CLOCK_INFO and TPMS_TIME_INFO, TPM 2.0 Part 2 sections 10.11.1 and 10.11.6: how far a TPM has come.

import type { Cursor } from '@ringwall/bytes';
import { readYesNo } from './sized.ts';

/** Part 2 section 10.11.1. `clock` is in milliseconds; `safe` is false where it may have been set back. */
export interface TPMS_CLOCK_INFO {
  readonly clock: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  readonly safe: boolean;
}

/** Part 2 section 10.11.6. `time` is in milliseconds since the last reset of the TPM. */
export interface TPMS_TIME_INFO {
  readonly time: bigint;
  readonly clockInfo: TPMS_CLOCK_INFO;
}

export function readClockInfo(cursor: Cursor, field = 'clockInfo'): TPMS_CLOCK_INFO {
  const clock = cursor.u64be(`${field}.clock`);
  const resetCount = cursor.u32be(`${field}.resetCount`);
  const restartCount = cursor.u32be(`${field}.restartCount`);
  return { clock, resetCount, restartCount, safe: readYesNo(cursor, `${field}.safe`) };
}

export function readTimeInfo(cursor: Cursor): TPMS_TIME_INFO {
  return { time: cursor.u64be('time.time'), clockInfo: readClockInfo(cursor, 'time.clockInfo') };
}
