import { ERROR_CODES, RingwallError } from '@ringwall/api/errors';
import { describe, expect, it } from 'vitest';
import { EXIT_CODES, exitCodeOf } from './exit-codes.ts';

describe('exit codes', () => {
  it('are all different, and only ok is 0', () => {
    const codes = Object.values(EXIT_CODES).map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
    expect(codes.filter((code) => code === 0)).toEqual([EXIT_CODES.ok.code]);
  });

  it('exitCodeOf() never calls an error a success', () => {
    for (const code of ERROR_CODES) expect(exitCodeOf(new RingwallError(code, 'x')), code).toBeGreaterThan(0);
  });

  it.each([
    ['not-found', 3],
    ['image-unknown', 3],
    ['attestation-refused', 4],
    ['proof-invalid', 4],
    ['host-lacks', 5],
    ['host-full', 5],
    ['daemon-unavailable', 6],
    ['name-taken', 7],
    ['timeout', 8],
    ['internal', 1],
  ] as const)('%s is %i', (code, exit) => {
    expect(exitCodeOf(new RingwallError(code, 'x'))).toBe(exit);
  });

  it('a stranger is a plain failure', () => {
    expect(exitCodeOf(new Error('x'))).toBe(1);
    expect(exitCodeOf('x')).toBe(1);
  });
});
