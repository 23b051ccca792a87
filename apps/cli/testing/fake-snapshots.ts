// The snapshots of a FakeApi: what is answered about them, checked against the contract.
import { RingwallError } from '@ringwall/api';
import { snapshotListSchema, snapshotReportSchema, type ShownSnapshot } from '@ringwall/api/snapshots';

export class FakeSnapshots {
  readonly all = new Map<string, ShownSnapshot>();
  /** Bytes at which they are damaged. */
  damage: readonly number[] = [];

  add(machineName: string, sequence: number, createdAt: string): void {
    const id = `snp_aaaabbbbccccddddee${'ab'.at(sequence % 2)}${'cd'.at(sequence % 2)}` as const;
    const taken = { root: '5a'.repeat(32), bytes: 160_000_000, pauseMs: 41.7, tookMs: 900 };
    const snapshot = { id, machine: 'mch_aaaabbbbccccddddeeee', sequence, createdAt, ...taken, machineName } as const;
    this.all.set(`${machineName}@${String(sequence)}`, snapshot);
  }

  /** Undefined for a route that is not about them. */
  answer(route: string, name: string): unknown {
    if (route === 'GET snapshots') return snapshotListSchema.parse({ snapshots: [...this.all.values()] });
    if (route !== 'POST snapshots/*/check' && route !== 'DELETE snapshots/*') return undefined;
    if (!this.all.has(name)) {
      throw new RingwallError('not-found', `there is no ${name}`, {
        hint: 'see which there are: ringwall snapshot ls',
      });
    }
    if (route === 'DELETE snapshots/*') {
      this.all.delete(name);
      return {};
    }
    const { damage: at } = this;
    return snapshotReportSchema.parse({ whole: at.length === 0, records: 153, damaged: at.length, at });
  }
}
