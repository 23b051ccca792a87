// How the answer to a command is read: header, handle, parameters, session area (TPM 2.0 Part 1 section 18.3).

import { Cursor } from '@ringwall/bytes';
import { parseResponse, RESPONSE_HEADER_BYTES } from '../commands/responses.ts';
import { MAX_DIGEST_BYTES, readSized } from '../structures/sized.ts';

/** One command's answer. Where the command gives a handle, it stands before the parameters. */
export type AnswerReader<T> =
  | { readonly handle: false; readonly read: (parameters: Cursor) => T }
  | { readonly handle: true; readonly read: (parameters: Cursor, handle: number) => T };

/** A command has at most 3 sessions (Part 1 section 18.6). */
const MAX_SESSIONS = 3;

/** The whole response of one command, to its last byte. Throws `TpmError` where the TPM refused, else `ParseError`. */
export function readAnswer<T>(reader: AnswerReader<T>, bytes: Uint8Array): T {
  const response = parseResponse(bytes);
  if (!response.ok) throw response.error;
  const body = new Cursor(response.body, RESPONSE_HEADER_BYTES);
  const handle = reader.handle ? body.u32be('handle') : 0;
  const size = response.sessions ? body.u32be('parameterSize') : body.remaining;
  const parameters = body.sub(size, 'parameters');
  const answer = reader.handle ? reader.read(parameters, handle) : reader.read(parameters);
  parameters.end('parameters');
  if (response.sessions) readSessions(body);
  return answer;
}

/** A command whose answer has no parameters. */
export const nothing: AnswerReader<void> = { handle: false, read: () => undefined };

/** TPMS_AUTH_RESPONSE, Part 2 section 10.13.3. Sessions have no keys here, so there is nothing in them to check. */
function readSessions(body: Cursor): void {
  for (let session = 0; body.remaining > 0; session += 1) {
    if (session === MAX_SESSIONS) throw body.error('limit', 'sessions', `expected at most ${MAX_SESSIONS}`);
    readSized(body, 'nonceTPM', MAX_DIGEST_BYTES);
    body.u8('sessionAttributes');
    readSized(body, 'hmac', MAX_DIGEST_BYTES);
  }
}
