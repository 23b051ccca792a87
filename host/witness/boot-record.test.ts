import { createHash } from 'node:crypto';
import { toHex } from '@ringwall/bytes';
import { parseEventLog, replayEventLog } from '@ringwall/tpm';
import { describe, expect, test } from 'vitest';
import { BootRecord, MAX_EXTENSIONS } from './boot-record.ts';

function sha256(...parts: readonly (string | Uint8Array)[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

const EXITED = { pcr: 5, digest: sha256('Exit Boot Services Returned with Success') };

describe('BootRecord', () => {
  test('leads to the PCRs that its extensions lead to', async () => {
    const record = new BootRecord();
    for (const pcr of [0, 4, 4]) record.add({ pcr, digest: sha256('code') });
    const values = await replayEventLog(parseEventLog(record.encode() ?? new Uint8Array()), 'sha256');
    const once = sha256(new Uint8Array(32), sha256('code'));
    expect(toHex(values.get(0) ?? new Uint8Array())).toBe(toHex(once));
    expect(toHex(values.get(4) ?? new Uint8Array())).toBe(toHex(sha256(once, sha256('code'))));
  });

  test('gives data to digests that everybody knows, and to no other', () => {
    const record = new BootRecord();
    for (const digest of [sha256(new Uint8Array(4)), sha256('Calling EFI Application from Boot Option'), sha256('x')]) {
      record.add({ pcr: 4, digest });
    }
    const [, ...events] = parseEventLog(record.encode() ?? new Uint8Array()).events;
    expect(events.map(({ typeName }) => typeName)).toEqual(['EV_SEPARATOR', 'EV_EFI_ACTION', 'EV_COMPACT_HASH']);
  });

  test('has the firmware handed over with its word in PCR 5, and in no other', () => {
    const record = new BootRecord();
    record.add({ ...EXITED, pcr: 4 });
    expect(record.exited).toBe(false);
    record.add(EXITED);
    expect(record.exited).toBe(true);
  });

  test('leaves out PCRs that are not quoted: what IMA measures as the system runs', () => {
    const record = new BootRecord();
    record.add({ pcr: 10, digest: sha256('a program') });
    expect(parseEventLog(record.encode() ?? new Uint8Array()).events).toHaveLength(1);
  });

  test('is none for a guest that extends without end', () => {
    const record = new BootRecord();
    for (let count = 0; count < MAX_EXTENSIONS; count += 1) record.add({ pcr: 8, digest: sha256('again') });
    expect(record.encode()).toBeDefined();
    record.add({ pcr: 8, digest: sha256('again') });
    expect(record.encode()).toBeUndefined();
  });
});
