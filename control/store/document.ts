// A row that holds a document of the API: what it is called and how it is counted in columns, the rest as JSON.
import type { Selectable } from 'kysely';
import type { DocumentTable } from './schema.ts';

/** For a schema of @ringwall/api to judge. Throws `SyntaxError` where the JSON is none. */
export function documentOf(row: Selectable<DocumentTable>): unknown {
  return {
    id: row.id,
    tenant: row.tenant,
    name: row.name,
    version: row.version,
    createdAt: row.created_at,
    spec: JSON.parse(row.spec) as unknown,
    status: JSON.parse(row.status) as unknown,
  };
}
