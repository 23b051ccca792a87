// Sums up packets that were dropped: who to whom, by what service and why, and how often. Bounded: whoever makes up addresses and ports
// fills no memory and no screen; what finds no place is counted all the same.
import type { DropReason } from './drop-reasons.ts';
import type { RefusedPacket } from './refused-log.ts';
import { printService } from './service.ts';

/** Lines that a person reads. */
const MAX_ROWS = 200;

export interface RefusedRow {
  readonly reason: DropReason;
  /** The rule that denies it, where that has `log`. */
  readonly rule?: string;
  readonly interfaceIndex: number;
  /** As the packet says; what is spoofed says what it likes. */
  readonly from: string;
  readonly to: string;
  readonly service: string;
  readonly packets: number;
}

export class RefusedSummary {
  #rows = new Map<string, RefusedRow>();
  #others = 0;

  add(packet: RefusedPacket): void {
    const { reason, rule, interfaceIndex } = packet;
    const from = packet.from?.text ?? '';
    const to = packet.to?.text ?? '';
    const service = serviceOf(packet);
    const key = [reason, rule ?? '', interfaceIndex, from, to, service].join(' ');
    const packets = (this.#rows.get(key)?.packets ?? 0) + 1;
    if (packets === 1 && this.#rows.size >= MAX_ROWS) this.#others += 1;
    else {
      const named = rule === undefined ? {} : { rule };
      this.#rows.set(key, { reason, ...named, interfaceIndex, from, to, service, packets });
    }
  }

  /** Since it was last asked, the most frequent first; `others` are packets that found no row. */
  take(): { readonly rows: readonly RefusedRow[]; readonly others: number } {
    const rows = [...this.#rows.values()].toSorted((a, b) => b.packets - a.packets);
    const others = this.#others;
    this.#rows = new Map();
    this.#others = 0;
    return { rows, others };
  }
}

function serviceOf({ protocol, number }: RefusedPacket): string {
  if (protocol === undefined) return 'arp';
  const first = number ?? 0;
  return number === undefined ? `protocol ${protocol}` : printService({ protocol, first, last: first });
}
