// Tenant networks as the daemon remembers them, and the cards that machines have in them. A network is changed by compare-and-set of
// its version; several of them together, or none.
import { type MachineId, type NetworkId, RingwallError } from '@ringwall/api';
import { type Network, networkSchema } from '@ringwall/api/networks';
import type { Kysely, Selectable, Transaction } from 'kysely';
import { z } from 'zod';
import { documentOf } from './document.ts';
import type { Tables } from './schema.ts';
import { isUniqueViolation } from './sqlite.ts';
import type { NewEvent } from './store.ts';
import type { Transact } from './transact.ts';

/** What a machine has in its network for as long as it lives. */
export interface Card {
  readonly machine: MachineId;
  readonly network: NetworkId;
  readonly addresses: readonly string[];
  /** The boot that its network was opened for last; undefined where it is closed. */
  readonly admitted: string | undefined;
}

/** Addresses of a network that are not to be given to somebody else now. */
export interface TakenAddresses {
  readonly used: ReadonlySet<string>;
  /** When each was freed, in milliseconds of Unix time. */
  readonly freed: ReadonlyMap<string, number>;
}

/** A card for a machine that is being made: chosen where nobody can take the same addresses meanwhile. */
export interface NewCard {
  readonly network: NetworkId;
  readonly choose: (taken: TakenAddresses) => readonly string[];
}

export interface NetworkChange {
  readonly insert?: readonly Network[];
  readonly update?: readonly Network[];
  readonly remove?: readonly Network[];
}

export class NetworkStore {
  readonly #db: Kysely<Tables>;
  readonly #transact: Transact;

  constructor(db: Kysely<Tables>, transact: Transact) {
    this.#db = db;
    this.#transact = transact;
  }

  async list(): Promise<Network[]> {
    const rows = await this.#db.selectFrom('networks').selectAll().orderBy('name').execute();
    return rows.map(parseNetwork);
  }

  async find(idOrName: string): Promise<Network | undefined> {
    const column = idOrName.startsWith('net_') ? 'id' : 'name';
    const row = await this.#db.selectFrom('networks').selectAll().where(column, '=', idOrName).executeTakeFirst();
    return row === undefined ? undefined : parseNetwork(row);
  }

  /** All of it or nothing; `update` holds the networks as they shall be, with the version that they have now. */
  async change({ insert = [], update = [], remove = [] }: NetworkChange, event: NewEvent): Promise<void> {
    try {
      await this.#transact(event, async (trx) => {
        for (const network of remove) await deleteNetwork(trx, network);
        for (const network of update) await updateNetwork(trx, network);
        for (const { id, tenant, name, version, createdAt, spec, status } of insert) {
          const values = { id, tenant, name, version, created_at: createdAt };
          const documents = { spec: JSON.stringify(spec), status: JSON.stringify(status) };
          await trx
            .insertInto('networks')
            .values({ ...values, ...documents })
            .execute();
        }
      });
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      throw new RingwallError('name-taken', 'there is a network of this name already', {
        hint: 'see which there are: ringwall network ls',
        cause: error,
      });
    }
  }

  async cards(network?: NetworkId): Promise<Card[]> {
    let query = this.#db.selectFrom('cards').selectAll().orderBy('machine');
    if (network !== undefined) query = query.where('network', '=', network);
    return (await query.execute()).map(parseCard);
  }

  async findCard(machine: MachineId): Promise<Card | undefined> {
    const row = await this.#db.selectFrom('cards').selectAll().where('machine', '=', machine).executeTakeFirst();
    return row === undefined ? undefined : parseCard(row);
  }

  async setAdmitted(machine: MachineId, boot: string | undefined): Promise<void> {
    await this.#transact(undefined, (trx) =>
      trx
        .updateTable('cards')
        .set({ admitted: boot ?? null })
        .where('machine', '=', machine)
        .execute(),
    );
  }
}

export async function insertCard(trx: Transaction<Tables>, machine: MachineId, card: NewCard): Promise<void> {
  const { network, choose } = card;
  const cards = await trx.selectFrom('cards').selectAll().where('network', '=', network).execute();
  const freed = await trx.selectFrom('freed_addresses').selectAll().where('network', '=', network).execute();
  const addresses = choose({
    used: new Set(cards.flatMap((each) => parseCard(each).addresses)),
    freed: new Map(freed.map((each) => [each.address, Date.parse(each.freed_at)])),
  });
  await trx
    .insertInto('cards')
    .values({ machine, network, addresses: JSON.stringify(addresses), admitted: null })
    .execute();
  await trx.deleteFrom('freed_addresses').where('network', '=', network).where('address', 'in', addresses).execute();
}

/** Its addresses are remembered as freed. */
export async function deleteCard(trx: Transaction<Tables>, machine: MachineId): Promise<void> {
  const row = await trx.deleteFrom('cards').where('machine', '=', machine).returningAll().executeTakeFirst();
  if (row === undefined) return;
  const freed_at = new Date().toISOString();
  for (const address of parseCard(row).addresses) {
    await trx
      .insertInto('freed_addresses')
      .values({ network: row.network, address, freed_at })
      .onConflict((conflict) => conflict.columns(['network', 'address']).doUpdateSet({ freed_at }))
      .execute();
  }
}

async function updateNetwork(trx: Transaction<Tables>, { id, name, version, spec }: Network): Promise<void> {
  const row = await trx
    .updateTable('networks')
    .set({ version: version + 1, spec: JSON.stringify(spec) })
    .where('id', '=', id)
    .where('version', '=', version)
    .returning('id')
    .executeTakeFirst();
  if (row !== undefined) return;
  throw new RingwallError('conflict', `the network ${name} is no longer at version ${String(version)}`, {
    hint: 'look at it again, and repeat the request if it is still wanted',
  });
}

async function deleteNetwork(trx: Transaction<Tables>, { id, name }: Network): Promise<void> {
  const card = await trx.selectFrom('cards').select('machine').where('network', '=', id).executeTakeFirst();
  if (card !== undefined) {
    throw new RingwallError('conflict', `machines have cards in the network ${name}`, {
      hint: `see which: ringwall network show ${name}; remove them first: ringwall rm NAME`,
    });
  }
  await trx.deleteFrom('freed_addresses').where('network', '=', id).execute();
  await trx.deleteFrom('networks').where('id', '=', id).execute();
}

function parseNetwork(row: Selectable<Tables['networks']>): Network {
  return networkSchema.parse(documentOf(row));
}

const cardRow = z.object({
  machine: z.templateLiteral(['mch_', z.string()]),
  network: z.templateLiteral(['net_', z.string()]),
  addresses: z.array(z.string()),
});

function parseCard({ machine, network, addresses, admitted }: Selectable<Tables['cards']>): Card {
  const card = cardRow.parse({ machine, network, addresses: JSON.parse(addresses) as unknown });
  return { ...card, admitted: admitted ?? undefined };
}
