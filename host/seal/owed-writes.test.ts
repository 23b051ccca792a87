import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { OwedWrites } from './owed-writes.ts';
import { Relay, Stopped } from './relay.ts';

let dir: string;
let descriptor: number;
let relay: Relay;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'owed-writes-'));
  descriptor = openSync(join(dir, 'object'), 'w+');
  relay = new Relay(Relay.begin(0, new Uint8Array(32)));
});
afterEach(() => {
  closeSync(descriptor);
  rmSync(dir, { recursive: true });
});
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const written = (): string => readFileSync(join(dir, 'object'), 'latin1').replaceAll('\0', '.');

it('writes what it owes to its places, whichever came first, and says so once', () => {
  const owed = new OwedWrites(descriptor, relay);
  const told: string[] = [];
  owed.add(text('cd'), 2, () => told.push('cd'));
  owed.add(text('h'), 7, () => told.push('h'));
  owed.add(text('ab'), 0, () => told.push('ab'));
  expect([written(), told]).toEqual(['', []]);
  owed.offer();
  expect([written(), told.toSorted()]).toEqual(['abcd...h', ['ab', 'cd', 'h']]);
  owed.settle();
  expect(told).toHaveLength(3);
});

it('goes on where another lane writes, and writes when that has ended', () => {
  const owed = new OwedWrites(descriptor, relay);
  owed.add(text('ab'), 0);
  relay.writing(() => {
    owed.offer();
    expect(written()).toBe('');
  });
  owed.settle();
  expect(written()).toBe('ab');
});

it('leaves the file to others where a write fails', () => {
  const unwritable = openSync(join(dir, 'object'), 'r');
  const owed = new OwedWrites(unwritable, relay);
  owed.add(text('ab'), 0);
  expect(() => owed.offer()).toThrow('EBADF');
  closeSync(unwritable);
  const other = new OwedWrites(descriptor, relay);
  other.add(text('cd'), 0);
  other.settle();
  expect(written()).toBe('cd');
});

it('ends where another lane has failed', () => {
  const owed = new OwedWrites(descriptor, relay);
  owed.add(text('ab'), 0);
  relay.writing(() => {
    relay.fail();
    expect(() => owed.settle()).toThrow(Stopped);
  });
});
