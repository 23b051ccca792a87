// Event logs for tests: the real one of the fixture, taken apart so that a test can change one event and write it again.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writer, fromHex } from '@ringwall/bytes';
import { parseEventLog } from '@ringwall/tpm';
import { predictFromDigests, type ReferenceValues } from '../src/index.ts';

const FIXTURE = join(import.meta.dirname, '../fixtures/ovmf-direct-boot');
const HEADER_DATA_BYTES = 33;
const SHA256 = 0x000b;

export interface TestEvent {
  readonly pcr: number;
  readonly type: number;
  readonly digest: Uint8Array;
  readonly data: Uint8Array;
}

export const bootFixture: {
  readonly firmware: Parameters<typeof predictFromDigests>[0]['firmware'];
  readonly commandLine: string;
  readonly kernelDigest: string;
  readonly initrdDigest: string;
} = JSON.parse(readFileSync(join(FIXTURE, 'boot.json'), 'utf8'));

export const realLog: Uint8Array = new Uint8Array(readFileSync(join(FIXTURE, 'eventlog.bin')));

/** The events of the real log without its header. */
export const realEvents: readonly TestEvent[] = parseEventLog(realLog)
  .events.slice(1)
  .map(({ pcr, type, digests, data }) => ({ pcr, type, data, digest: digests.get('sha256') ?? new Uint8Array() }));

export function realReference(): Promise<ReferenceValues> {
  return predictFromDigests({
    firmware: bootFixture.firmware,
    commandLine: bootFixture.commandLine,
    kernelDigest: fromHex(bootFixture.kernelDigest),
    initrdDigest: fromHex(bootFixture.initrdDigest),
    image: { name: 'hello', digest: 'ab'.repeat(32) },
  });
}

export function sha256(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

export function encodeLog(events: readonly TestEvent[]): Uint8Array {
  // The header of the real log: TCG_PCClientPCREvent with "Spec ID Event03" and the one bank.
  const writer = new Writer().bytes(realLog.subarray(0, 32 + HEADER_DATA_BYTES));
  for (const { pcr, type, digest, data } of events) {
    writer.u32le(pcr).u32le(type).u32le(1).u16le(SHA256).bytes(digest);
    writer.sized32le((inner) => inner.bytes(data));
  }
  return writer.finish();
}

/** The PCR values that the events lead to, without help of the code under test. */
export function replay(events: readonly TestEvent[]): Map<number, Uint8Array> {
  const values = new Map(Array.from({ length: 24 }, (_, pcr) => [pcr, new Uint8Array(32)]));
  for (const { pcr, type, digest } of events) {
    if (type !== 3) values.set(pcr, sha256(values.get(pcr) ?? new Uint8Array(32), digest));
  }
  return values;
}

/** An event whose digest is that of its data. */
export function event(pcr: number, type: number, data: Uint8Array): TestEvent {
  return { pcr, type, data, digest: sha256(data) };
}

/** The real log's events with one of them replaced. */
export function withEvent(index: number, change: Partial<TestEvent>): readonly TestEvent[] {
  return realEvents.map((original, at) => (at === index ? { ...original, ...change } : original));
}

/** Where the event of this PCR and type is in the real log, counted from 0 without its header. */
export function indexOf(pcr: number, type: number, nth = 0): number {
  const found = [...realEvents.entries()].filter(([, item]) => item.pcr === pcr && item.type === type)[nth];
  if (found === undefined) throw new Error(`no event ${type} in PCR ${pcr}`);
  return found[0];
}
