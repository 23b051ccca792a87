// Rows of the broker's own SQLite file: each column is what the broker writes, or the file is damaged; and what SQLite says,
// in words that an operator can act on.
import type { SQLOutputValue } from 'node:sqlite';
import { RingwallError } from '@ringwall/api';

/** SQLITE_BUSY, https://www.sqlite.org/rescode.html; an extended code has the primary one in its low byte. */
const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;

export type Row = Record<string, SQLOutputValue>;

export function asObject(value: unknown, column: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw damaged(column);
  return { ...value };
}

export function textOf(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw damaged(column);
  return value;
}

export function blob(row: Row, column: string): Uint8Array {
  const value = row[column];
  if (!(value instanceof Uint8Array)) throw damaged(column);
  return value;
}

export function texts(row: Row, column: string): string[] {
  const value: unknown = JSON.parse(textOf(row, column));
  if (!Array.isArray(value)) throw damaged(column);
  return value.map((item: unknown) => {
    if (typeof item !== 'string') throw damaged(column);
    return item;
  });
}

export function damaged(column: string): RingwallError {
  return new RingwallError('internal', `the broker's store is damaged: ${column} is not what the broker writes`, {
    hint: 'restore the state directory from a backup',
  });
}

export function explained(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return error;
  switch (error.errcode & 0xff) {
    case SQLITE_BUSY:
      return new RingwallError('conflict', `another broker uses ${path}`, {
        hint: 'one broker a state directory: stop the other first',
        cause: error,
      });
    case SQLITE_FULL:
      return new RingwallError('host-full', 'no room to write the store of the broker', {
        hint: 'make room on its file system; nothing was lost',
        cause: error,
      });
    default:
      return new RingwallError('internal', `the store of the broker cannot be used: ${error.message}`, {
        hint: 'see that its directory belongs to the user of the broker; else restore it from a backup',
        cause: error,
      });
  }
}
