// What the API answers: JSON, and errors as `{ error }` with the status of their code. A defect of ours is told to the
// log in full and to the client in one sentence.
import { type ErrorAnswer, HTTP_STATUS_OF_ERROR, RingwallError } from '@ringwall/api';

/** Nothing here is for a cache, and no browser should ever guess a type. */
const HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const;

export type Note = (line: string) => void;

export function answerJson(status: number, body: unknown): Response {
  return new Response(`${JSON.stringify(body)}\n`, {
    status,
    headers: { ...HEADERS, 'content-type': 'application/json' },
  });
}

export function answerText(text: string, type: string): Response {
  return new Response(text, { headers: { ...HEADERS, 'content-type': type } });
}

export function answerEvents(body: ReadableStream<Uint8Array>): Response {
  return new Response(body, { headers: { ...HEADERS, 'content-type': 'text/event-stream' } });
}

export function answerError(error: RingwallError): Response {
  const body: ErrorAnswer = { error: error.toBody() };
  return answerJson(HTTP_STATUS_OF_ERROR[error.code], body);
}

/** The error as a client may see it. */
export function explain(error: unknown, note: Note): RingwallError {
  if (error instanceof RingwallError && error.code !== 'internal') return error;
  note(error instanceof Error ? stackOf(error) : String(error));
  if (error instanceof RingwallError) return error;
  return new RingwallError('internal', 'ringwalld made a mistake', { hint: 'its log says more; please report it' });
}

function stackOf(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\ncaused by ${stackOf(error.cause)}` : own;
}
