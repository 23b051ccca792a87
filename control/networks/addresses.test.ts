import { parseRange } from '@ringwall/netpolicy';
import { describe, expect, test } from 'vitest';
import { allotAddresses, defaultRanges, refuseOverlaps, REUSE_AFTER_MS } from './addresses.ts';

const range = (text: string): ReturnType<typeof parseRange> => parseRange(text, '');
const nothing = { used: new Set<string>(), freed: new Map<string, number>() };
const zeros = (bytes: Uint8Array): Uint8Array => bytes.fill(0xab);

describe('defaultRanges()', () => {
  test('takes the first private /16 that nobody has, and a random unique local /64', () => {
    const owned = [{ range: range('10.20.5.0/24'), owner: 'eth0' }];
    expect(defaultRanges(owned, zeros)).toEqual(['10.21.0.0/16', 'fdab:abab:abab::/64']);
  });

  test('says what to do where all of them are taken', () => {
    const owned = [{ range: range('10.0.0.0/8'), owner: 'eth0' }];
    expect(() => defaultRanges(owned, zeros)).toThrow('no range of 10.0.0.0/8 is free');
  });
});

test('refuseOverlaps() names both', () => {
  const owned = [{ range: range('192.168.0.0/16'), owner: 'reached by this host through eth0' }];
  expect(() => refuseOverlaps('app', [range('192.168.7.0/24')], owned)).toThrow(
    '192.168.7.0/24 of app overlaps with 192.168.0.0/16, which is reached by this host through eth0',
  );
  expect(() => refuseOverlaps('app', [range('192.169.7.0/24'), range('fd00::/64')], owned)).not.toThrow();
});

/** The last addresses of a link. */
const edge = (link: string): string[] => Array.from({ length: 16 }, (_, index) => `${link}fff${index.toString(16)}`);

describe('allotAddresses()', () => {
  const both = [range('10.20.0.0/29'), range('fd00:20::/64')];

  test('gives the lowest of each family, and neither the network’s own nor what looks like its broadcast', () => {
    expect(allotAddresses('app', both, nothing, [], 0)).toEqual(['10.20.0.2', 'fd00:20::2']);
    const used = new Set(['10.20.0.2', '10.20.0.3', '10.20.0.4', '10.20.0.5', '10.20.0.6']);
    expect(() => allotAddresses('app', both, { ...nothing, used }, [], 0)).toThrow(
      'every address of 10.20.0.0/29 is taken',
    );
  });

  test('gives each address of a range of few', () => {
    expect(allotAddresses('app', [range('10.20.0.0/31')], nothing, [], 0)).toEqual(['10.20.0.0']);
    const used = new Set(['10.20.0.0']);
    expect(allotAddresses('app', [range('10.20.0.0/31')], { ...nothing, used }, [], 0)).toEqual(['10.20.0.1']);
  });

  test('gives nobody the address of a link’s gateway, wherever the range begins', () => {
    const give = (text: string, ...taken: string[]): string[] =>
      allotAddresses('app', [range(text)], { ...nothing, used: new Set(taken) }, [], 0);
    expect(give('fd00:20::/126')).toEqual(['fd00:20::1']);
    expect(give('fd00:20:0:0:ffff:ffff:ffff:fff0-fd00:20:0:2::', ...edge('fd00:20::ffff:ffff:ffff:'))).toEqual([
      'fd00:20:0:1::1',
    ]);
    expect(() => give('fd00:20::/128')).toThrow('every address of fd00:20:: is taken');
  });

  test('gives what was freed again after its time, and not before', () => {
    const freed = new Map([['10.20.0.2', 1_000]]);
    const at = (now: number): string | undefined => allotAddresses('app', both, { ...nothing, freed }, [], now)[0];
    expect(at(1_000 + REUSE_AFTER_MS - 1)).toBe('10.20.0.3');
    expect(at(1_000 + REUSE_AFTER_MS)).toBe('10.20.0.2');
  });

  test('goes on in the next range of the family', () => {
    const two = [range('10.20.0.4/32'), range('10.30.0.0/24')];
    expect(allotAddresses('app', two, { ...nothing, used: new Set(['10.20.0.4']) }, [], 0)).toEqual(['10.30.0.2']);
  });

  describe('on hosts of one network', () => {
    const NAMES = ['alpha', 'beta', 'gamma'];
    /** As each host has it: the hosts that it knows. */
    const pairs = (self: string, known: readonly string[]) => known.map((host) => ({ self, host }));
    const give = (self: string, known: readonly string[], count: number, ranges = both): string[] => {
      const used = new Set<string>();
      for (let index = 0; index < count; index += 1) {
        for (const text of allotAddresses('app', ranges, { ...nothing, used }, pairs(self, known), 0)) used.add(text);
      }
      return [...used];
    };

    test('never gives what another one gives, whoever else each of them knows', () => {
      const ranges = [range('10.20.0.0/16'), range('fd00:20::/64')];
      const others = (self: string): string[] => NAMES.filter((name) => name !== self);
      // Alpha has not heard of gamma yet.
      const given = [give('alpha', ['beta'], 300, ranges), give('beta', others('beta'), 300, ranges)];
      expect(new Set(given.flat()).size).toBe(given.flat().length);
      const all = NAMES.map((self) => give(self, others(self), 300, ranges));
      expect(new Set(all.flat()).size).toBe(all.flat().length);
      expect(all.flat().filter((text) => /^10\..*\.(?:0|255)$/.test(text))).toEqual([]);
    });

    test('gives all of a small range, and says whose the rest is', () => {
      const small = [range('10.20.0.0/28')];
      const until = (self: string, host: string): string[] => {
        const used = new Set<string>();
        const next = (): string[] => allotAddresses('app', small, { ...nothing, used }, pairs(self, [host]), 0);
        expect(() => {
          for (;;) used.add(next()[0] ?? '');
        }).toThrow(`every address of 10.20.0.0/28 that is this host’s to give (others are ${host}’s) is taken`);
        return [...used];
      };
      const given = [...until('alpha', 'beta'), ...until('beta', 'alpha')];
      expect(given.toSorted()).toEqual(Array.from({ length: 13 }, (_, index) => `10.20.0.${index + 2}`).toSorted());
    });
  });
});
