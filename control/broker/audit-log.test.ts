import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '../keys/index.ts';
import { AuditLog } from './audit-log.ts';

let directory = '';
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'audit-'))));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('AuditLog', () => {
  test('writes one JSON object a line, whatever the reasons hold', () => {
    using log = new AuditLog(join(directory, 'audit.log'), { now: () => new Date(0) });
    log.write({ what: 'refuse', machine: 'mch_x', outcome: 'refused', reasons: ['two\nlines', 'x'.repeat(9999)] });
    const lines = readFileSync(join(directory, 'audit.log'), 'utf8').split('\n');
    expect(lines).toHaveLength(2);
    const entry: { at: string; reasons: string[] } = JSON.parse(lines[0] ?? '');
    expect(entry).toMatchObject({ at: '1970-01-01T00:00:00.000Z', what: 'refuse', machine: 'mch_x' });
    expect(entry.reasons.map((reason) => reason.length)).toEqual([9, 1000]);
  });

  test('keeps four files of bounded size, for its user alone', () => {
    using log = new AuditLog(join(directory, 'audit.log'), { limitBytes: 500 });
    for (let number = 0; number < 100; number += 1) log.write({ what: `entry-${String(number)}`, outcome: 'ok' });
    const names = readdirSync(directory).toSorted();
    expect(names).toEqual(['audit.log', 'audit.log.1', 'audit.log.2', 'audit.log.3']);
    for (const name of names) {
      const { size, mode } = statSync(join(directory, name));
      expect(size).toBeLessThanOrEqual(500);
      expect(mode & 0o777).toBe(0o600);
    }
    expect(readFileSync(join(directory, 'audit.log'), 'utf8')).toContain('entry-99');
  });

  test('defect() shows no secret', () => {
    using log = new AuditLog(join(directory, 'audit.log'));
    using key = Secret.take(new TextEncoder().encode('hunter2hunter2'));
    log.defect(Object.assign(new Error('broken'), { key }), 'test');
    const text = readFileSync(join(directory, 'audit.log'), 'utf8');
    expect(text).toContain('[secret]');
    expect(text).not.toContain('hunter2');
  });

  test('is silent once closed', () => {
    const log = new AuditLog(join(directory, 'audit.log'));
    log[Symbol.dispose]();
    log[Symbol.dispose]();
    log.write({ what: 'late', outcome: 'ok' });
    expect(readFileSync(join(directory, 'audit.log'), 'utf8')).toBe('');
  });
});
