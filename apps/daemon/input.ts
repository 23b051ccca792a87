// What a request brings, checked against its route: path, query, headers and a bounded body. Unknown fields are refused.
import { HTTP_BODY_LIMIT_BYTES, type HttpRoute, RingwallError } from '@ringwall/api';
import type { Context } from 'hono';
import type { z } from 'zod';

type Part<Route, Name extends 'params' | 'query' | 'headers' | 'body'> = Route extends {
  readonly [Key in Name]: infer S;
}
  ? S extends z.ZodType
    ? z.output<S>
    : undefined
  : undefined;

export interface RouteInput<Route extends HttpRoute> {
  readonly params: Part<Route, 'params'>;
  readonly query: Part<Route, 'query'>;
  readonly headers: Part<Route, 'headers'>;
  readonly body: Part<Route, 'body'>;
  /** Aborted where the client goes away. */
  readonly signal: AbortSignal;
}

/** A field's name and value in an error are cut here. */
const QUOTED_CHARACTERS = 60;

export async function readInput<Route extends HttpRoute>(route: Route, context: Context): Promise<RouteInput<Route>> {
  const input = {
    params: parsePart('path', route.params, context.req.param()),
    query: parsePart('query', route.query, readQuery(route, context)),
    headers: parsePart('header', route.headers, context.req.header()),
    body: await readBody(route, context),
    signal: context.req.raw.signal,
  };
  // Each part was parsed by the schema that `Part` reads the type from; a route's type is not known in here.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return input as RouteInput<Route>;
}

export function parsePart(where: string, schema: z.ZodType | undefined, value: unknown): unknown {
  if (schema === undefined) return undefined;
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue === undefined || issue.path.length === 0 ? where : `${where} ${issue.path.map(String).join('.')}`;
  throw new RingwallError('bad-request', `${quote(path)}: ${quote(issue?.message ?? 'not what the schema says')}`, {
    hint: 'see /openapi.json for what this route takes',
  });
}

/** A parameter that is given twice means two things: refused, not guessed. */
function readQuery(route: HttpRoute, context: Context): Record<string, string> {
  const single: Record<string, string> = {};
  for (const [name, values] of Object.entries(context.req.queries())) {
    if (route.query === undefined || values.length !== 1 || values[0] === undefined) {
      throw new RingwallError('bad-request', `query ${quote(name)}: ${values.length > 1 ? 'given twice' : 'unknown'}`);
    }
    single[name] = values[0];
  }
  return single;
}

async function readBody(route: HttpRoute, context: Context): Promise<unknown> {
  const text = await readText(context.req.raw);
  if (route.body === undefined) {
    if (text !== '') throw new RingwallError('bad-request', 'this route takes no body');
    return undefined;
  }
  if (text === '' && route.bodyRequired !== true) return parsePart('body', route.body, {});
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new RingwallError('bad-request', text === '' ? 'the body is missing' : 'the body is not JSON');
  }
  return parsePart('body', route.body, value);
}

async function readText(request: Request): Promise<string> {
  if (request.body === null) return '';
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.length;
    if (bytes > HTTP_BODY_LIMIT_BYTES) {
      throw new RingwallError('too-large', `a body of more than ${String(HTTP_BODY_LIMIT_BYTES)} bytes`);
    }
    chunks.push(chunk);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new RingwallError('bad-request', 'the body is not UTF-8');
  }
}

function quote(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is to be taken out
  const line = text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '?');
  return line.length > QUOTED_CHARACTERS ? `${line.slice(0, QUOTED_CHARACTERS)}…` : line;
}
