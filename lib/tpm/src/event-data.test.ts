import { fromHex, ParseError, Writer } from '@ringwall/bytes';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attempt } from '../testing/attempt.ts';
import { secureBootOf } from './event-data.ts';
import type { EventLog } from './event-log.ts';
import { parseUefiVariable } from './logs/uefi-variable.ts';

const GLOBAL = '61dfe48bca93d211aa0d00e098032b8c';
const EV_EFI_VARIABLE_DRIVER_CONFIG = 0x8000_0001;
const EV_EFI_VARIABLE_BOOT = 0x8000_0002;

describe('parseUefiVariable()', () => {
  const bytes = variable('SecureBoot', Uint8Array.of(1));

  test('reads guid, name and data', () => {
    expect(parseUefiVariable(bytes)).toEqual({ guid: GLOBAL, name: 'SecureBoot', data: Uint8Array.of(1) });
  });

  test('refuses every truncation, and a byte more', () => {
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => parseUefiVariable(bytes.subarray(0, length))).toThrow(ParseError);
    }
    expect(() => parseUefiVariable(Uint8Array.of(...bytes, 0))).toThrow(ParseError);
  });

  test.each([
    ['2^64 - 1 characters', 0xffff_ffff_ffff_ffffn],
    ['2^63 characters, whose bytes would be 2^64', 0x8000_0000_0000_0000n],
    ['2^53 + 1 characters', 9_007_199_254_740_993n],
  ])('refuses a name of %s', (_, length) => {
    const input = new Writer().bytes(fromHex(GLOBAL)).u64le(length).u64le(0n).finish();
    expect(() => parseUefiVariable(input)).toThrow(ParseError);
  });

  test('arbitrary bytes throw only ParseError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (input) => {
        expect(attempt(() => parseUefiVariable(input))).toBeDefined();
      }),
    );
  });
});

describe('secureBootOf()', () => {
  test('reads on and off, and nothing where the log does not speak of it', () => {
    expect(secureBootOf(log(variable('SecureBoot', Uint8Array.of(1))))).toBe(true);
    expect(secureBootOf(log(variable('SecureBoot', Uint8Array.of(0))))).toBe(false);
    expect(secureBootOf(log(variable('PK', Uint8Array.of(1))))).toBeUndefined();
  });

  test('takes no variable of that name from another vendor', () => {
    expect(secureBootOf(log(variable('SecureBoot', Uint8Array.of(1), '00'.repeat(16))))).toBeUndefined();
  });

  test('takes no boot variable', () => {
    const only = log(variable('SecureBoot', Uint8Array.of(1)));
    const events = only.events.map((event) => ({ ...event, type: EV_EFI_VARIABLE_BOOT }));
    expect(secureBootOf({ ...only, events })).toBeUndefined();
  });

  test.each([
    ['no value', new Uint8Array(0)],
    ['two bytes', Uint8Array.of(1, 0)],
    ['the value 2', Uint8Array.of(2)],
  ])('refuses %s', (_, data) => {
    expect(() => secureBootOf(log(variable('SecureBoot', data)))).toThrow('expected one byte that is 0 or 1');
  });

  test('refuses on and off in one log, and takes the same twice', () => {
    const on = variable('SecureBoot', Uint8Array.of(1));
    const off = variable('SecureBoot', Uint8Array.of(0));
    expect(() => secureBootOf(log(on, off))).toThrow('measured with two values');
    expect(secureBootOf(log(on, on))).toBe(true);
  });
});

function variable(name: string, data: Uint8Array, guid: string = GLOBAL): Uint8Array {
  const writer = new Writer().bytes(fromHex(guid)).u64le(BigInt(name.length)).u64le(BigInt(data.length));
  for (const character of name) writer.u16le(character.charCodeAt(0));
  return writer.bytes(data).finish();
}

function log(...variables: readonly Uint8Array[]): EventLog {
  const events = variables.map((data, index) => ({
    index,
    pcr: 7,
    type: EV_EFI_VARIABLE_DRIVER_CONFIG,
    typeName: 'EV_EFI_VARIABLE_DRIVER_CONFIG',
    digests: new Map(),
    data,
    offset: 0,
    dataOffset: 0,
  }));
  return { format: 'crypto-agile', algorithms: [], events, paddingBytes: 0 };
}
