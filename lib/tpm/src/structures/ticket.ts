// TPMT_TK_*, TPM 2.0 Part 2 section 10.7: what a TPM gives out to recognize its own work later.

import type { Cursor, Writer } from '@ringwall/bytes';
import { MAX_DIGEST_BYTES, readSized, writeSized } from './sized.ts';

/** All tickets have this form; `tag` says which it is. Only the TPM that made one can check its HMAC. */
export interface TPMT_TK {
  readonly tag: number;
  readonly hierarchy: number;
  readonly digest: Uint8Array;
}

export function readTicket(cursor: Cursor): TPMT_TK {
  const tag = cursor.u16be('ticket.tag');
  const hierarchy = cursor.u32be('ticket.hierarchy');
  return { tag, hierarchy, digest: readSized(cursor, 'ticket.digest', MAX_DIGEST_BYTES) };
}

export function writeTicket(writer: Writer, ticket: TPMT_TK): Writer {
  return writeSized(writer.u16be(ticket.tag).u32be(ticket.hierarchy), ticket.digest);
}
