// The snapshots of a FakeApi: what is answered about them, checked against the contract.
import { RingwallError } from '@ringwall/api';
import { snapshotListSchema, snapshotReportSchema, type ShownSnapshot } from '@ringwall/api/snapshots';
import { templateListSchema, type ShownTemplate } from '@ringwall/api/templates';

export class FakeSnapshots {
  readonly all = new Map<string, ShownSnapshot>();
  /** Bytes at which they are damaged. */
  damage: readonly number[] = [];

  add(machineName: string, sequence: number, createdAt: string, parent?: ShownSnapshot['parent']): ShownSnapshot['id'] {
    const id = `snp_aaaabbbbccccddddee${'ab'.at(sequence % 2)}${'cd'.at(sequence % 2)}` as const;
    const taken = { root: '5a'.repeat(32), bytes: 160_000_000, pauseMs: 41.7, tookMs: 900, ...(parent && { parent }) };
    const snapshot = { id, machine: 'mch_aaaabbbbccccddddeeee', sequence, createdAt, ...taken, machineName } as const;
    this.all.set(`${machineName}@${String(sequence)}`, snapshot);
    return id;
  }

  /** By the name of the snapshot; `hold` makes one, as the operation that is asked for would. */
  readonly templates = new Map<string, ShownTemplate>();

  hold(name: string, heldAt: string): void {
    const { machineName, sequence } = this.#require(name);
    const size = { bytes: 536_870_912, heldBytes: 94_896_128 };
    this.templates.set(name, { machineName, sequence, heldAt, ...size, machines: [] });
  }

  /** Undefined for a route that is not about them. */
  answer(route: string, name: string): unknown {
    if (route === 'GET snapshots') return snapshotListSchema.parse({ snapshots: [...this.all.values()] });
    if (route === 'GET templates') return templateListSchema.parse({ templates: [...this.templates.values()] });
    if (route === 'DELETE snapshots/*/template') {
      if (this.templates.delete(name)) return {};
      throw new RingwallError('not-found', `${name} is not held in memory`, {
        hint: 'see what is: ringwall template ls',
      });
    }
    if (route !== 'POST snapshots/*/check' && route !== 'DELETE snapshots/*') return undefined;
    this.#require(name);
    if (route === 'DELETE snapshots/*') {
      this.all.delete(name);
      return {};
    }
    const { damage: at } = this;
    return snapshotReportSchema.parse({ whole: at.length === 0, records: 153, damaged: at.length, at });
  }

  #require(name: string): ShownSnapshot {
    const found = this.all.get(name);
    if (found !== undefined) return found;
    throw new RingwallError('not-found', `there is no ${name}`, { hint: 'see which there are: ringwall snapshot ls' });
  }
}
