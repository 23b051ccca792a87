// How the RPC checks what crosses a process boundary: a zod schema decides the shape, and a second walk refuses what the
// schema would silently drop, so that a misspelt field is an error and not a default.

/** What this package asks of a schema; every zod schema is one. */
export interface Schema<T> {
  safeParse(input: unknown): SchemaResult<T>;
}

export type SchemaResult<T> =
  | { readonly success: true; readonly data: T }
  | { readonly success: false; readonly error: { readonly issues: readonly SchemaIssue[] } };

export interface SchemaIssue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

export type SchemaOutput<S> = S extends Schema<infer T> ? T : never;

export type Parsed<T> = { readonly ok: true; readonly data: T } | { readonly ok: false; readonly why: string };

/** Text of a peer that is quoted in an error is cut here: it is read by people, and a peer may send a megabyte of it. */
const QUOTED_CHARACTERS = 120;

/** Parses by the schema and refuses fields that the schema does not name. */
export function parseStrict<T>(schema: Schema<T>, input: unknown): Parsed<T> {
  const result = schema.safeParse(input);
  if (!result.success) {
    const issue = result.error.issues[0];
    const where = issue === undefined || issue.path.length === 0 ? '' : `${quoted(issue.path.map(String).join('.'))}: `;
    return { ok: false, why: `${where}${quoted(issue?.message ?? 'not what the schema says')}` };
  }
  const unknown = findDroppedField(input, result.data, '');
  if (unknown !== undefined) return { ok: false, why: `unknown field ${quoted(unknown)}` };
  return { ok: true, data: result.data };
}

/** Peers' text made safe for one line of an error or a log. */
export function quoted(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is to be taken out
  const line = text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?');
  return line.length > QUOTED_CHARACTERS ? `${line.slice(0, QUOTED_CHARACTERS)}…` : line;
}

/** Walks only where both sides differ: a `z.unknown()` hands back the very object, however deep it is. */
function findDroppedField(input: unknown, parsed: unknown, path: string): string | undefined {
  if (input === parsed || typeof input !== 'object' || input === null) return undefined;
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const kept = new Map<string, unknown>(Object.entries(parsed));
  for (const [key, value] of Object.entries(input)) {
    const here = path === '' ? key : `${path}.${key}`;
    if (!kept.has(key)) return here;
    const deeper = findDroppedField(value, kept.get(key), here);
    if (deeper !== undefined) return deeper;
  }
  return undefined;
}
