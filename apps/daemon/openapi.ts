// The OpenAPI 3.1 document, generated from the contract: https://spec.openapis.org/oas/v3.1.1.html.
import { OpenAPIHono } from '@hono/zod-openapi';
import { errorAnswerSchema, HTTP_ROUTES, HTTP_STATUS_OF_ERROR, type HttpRoute } from '@ringwall/api';

type Document = ReturnType<OpenAPIHono['getOpenAPI31Document']>;
type RouteConfig = Parameters<OpenAPIHono['openAPIRegistry']['registerPath']>[0];

export function renderOpenApi(version: string): Document {
  const { openAPIRegistry, getOpenAPI31Document } = new OpenAPIHono();
  for (const [name, route] of Object.entries(HTTP_ROUTES)) openAPIRegistry.registerPath(describe(name, route));
  return getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Ringwall',
      version,
      description:
        'Served on a Unix socket. Long work answers 202 with an operation. Every error is `{ "error": { code, message, hint } }`.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    servers: [{ url: 'http://ringwall', description: 'the Unix socket /run/ringwall/api.sock' }],
  });
}

function describe(name: string, route: HttpRoute): RouteConfig {
  const { params, query, headers, body } = route;
  return {
    operationId: name,
    method: route.method,
    path: route.path,
    summary: route.summary,
    request: {
      ...(params === undefined ? {} : { params }),
      ...(query === undefined ? {} : { query }),
      ...(headers === undefined ? {} : { headers }),
      ...(body === undefined
        ? {}
        : { body: { required: route.bodyRequired === true, content: { 'application/json': { schema: body } } } }),
    },
    responses: { ...describeErrors(route), [route.status]: describeAnswer(route) },
  };
}

function describeAnswer({ stream, response }: HttpRoute): RouteConfig['responses'][string] {
  if (response === undefined) return { description: 'from here on, raw bytes both ways' };
  if (stream === 'events') {
    return {
      description: 'server-sent events; the data of each is this, as one line of JSON',
      content: { 'text/event-stream': { schema: response } },
    };
  }
  return { description: 'the answer', content: { 'application/json': { schema: response } } };
}

/** One answer a status, with the codes that come with it. */
function describeErrors(route: HttpRoute): RouteConfig['responses'] {
  const codes = Map.groupBy([...new Set([...route.errors, 'internal' as const])], (code) => HTTP_STATUS_OF_ERROR[code]);
  return Object.fromEntries(
    [...codes].map(([status, each]) => [
      status,
      { description: each.join(', '), content: { 'application/json': { schema: errorAnswerSchema } } },
    ]),
  );
}
