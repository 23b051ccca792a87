// How the parts of the store change something: as one transaction, together with its entry in the audit trail.
import type { Transaction } from 'kysely';
import type { Tables } from './schema.ts';
import type { NewEvent } from './store.ts';

export type Transact = <T>(event: NewEvent | undefined, change: (trx: Transaction<Tables>) => Promise<T>) => Promise<T>;
