import { describe, expect, it } from 'vitest';
import { EV, parseEventLog, TPM_ALG } from '../index.ts';
import { encodeEventLog } from './encode-event-log.ts';

const SHA256 = { algorithmId: TPM_ALG.SHA256, digestBytes: 32 };
const SHA384 = { algorithmId: TPM_ALG.SHA384, digestBytes: 48 };
const event = (pcr: number, ...digests: readonly Uint8Array[]) => ({
  pcr,
  type: EV.SEPARATOR,
  digests,
  data: Uint8Array.of(0, 0, 0, pcr),
});

describe('encodeEventLog()', () => {
  it('is read back as it was given, with one bank and with two', () => {
    const [short, long] = [new Uint8Array(32).fill(1), new Uint8Array(48).fill(2)];
    const two = parseEventLog(encodeEventLog([SHA256, SHA384], [event(0, short, long), event(7, short, long)]));
    expect(two.algorithms.map(({ name }) => name)).toEqual(['sha256', 'sha384']);
    expect(two.events.slice(1)).toMatchObject(
      [0, 7].map((pcr) => ({ pcr, typeName: 'EV_SEPARATOR', data: Uint8Array.of(0, 0, 0, pcr) })),
    );
    expect(two.events[2]?.digests).toEqual(
      new Map([
        ['sha256', short],
        ['sha384', long],
      ]),
    );
    expect(parseEventLog(encodeEventLog([SHA256], [])).events).toHaveLength(1);
  });

  it.each([
    ['a digest too few', [new Uint8Array(32)]],
    ['a digest too many', [new Uint8Array(32), new Uint8Array(48), new Uint8Array(48)]],
    ['a digest of another bank', [new Uint8Array(48), new Uint8Array(32)]],
  ])('refuses an event with %s', (_, digests) => {
    expect(() => encodeEventLog([SHA256, SHA384], [event(0, ...digests)])).toThrow(RangeError);
  });
});
