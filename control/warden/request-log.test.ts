// The log of requests stays bounded and on one line each, whatever an error says.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RequestLog } from './request-log.ts';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'warden-log-'));
  path = join(dir, 'log');
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('RequestLog', () => {
  it('writes one line a request, for root alone', () => {
    const log = new RequestLog(path);
    log.request({ op: 'list-machines', milliseconds: 1.4 });
    const error = new RingwallError('conflict', 'first line\nsecond \u001b[31mline');
    log.request({ op: 'start-machine', subject: 'mch_x', milliseconds: 2, error });
    log.close();
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    expect(lines).toEqual([
      expect.stringMatching(/Z list-machines - 1 ms ok$/),
      expect.stringMatching(/Z start-machine mch_x 2 ms conflict: first line second  \[31mline$/),
    ]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('keeps the newest lines within two files', () => {
    const log = new RequestLog(path, 1000);
    for (let count = 0; count < 200; count += 1) log.note(`line ${count}`);
    log.close();
    expect(readFileSync(path, 'utf8')).toContain('line 199');
    expect(statSync(path).size + statSync(`${path}.1`).size).toBeLessThanOrEqual(2000);
  });

  it('goes on where an earlier process ended', () => {
    new RequestLog(path).note('before');
    new RequestLog(path).note('after');
    expect(readFileSync(path, 'utf8')).toMatch(/before\n.*after\n/);
  });
});
