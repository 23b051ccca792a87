// What every operation of the warden has in its hands.
import type { Networks } from './networks.ts';
import type { Continuations } from './continuations.ts';
import type { KeyAsks } from './key-asks.ts';
import type { Queues } from './queue.ts';
import type { Templates } from './templates.ts';
import type { StreamHolders } from './vmm-socket.ts';
import type { Layout } from './layout.ts';
import type { WardenParts } from './parts.ts';
import type { RunningMachine } from '@ringwall/api/warden';

export interface WardenContext {
  readonly layout: Layout;
  readonly parts: WardenParts;
  readonly holders: StreamHolders;
  /** Machines whose VMM or TPM died by itself, kept until they have been reported once. */
  readonly obituaries: Map<string, RunningMachine>;
  readonly networks: Networks;
  readonly keys: KeyAsks;
  readonly continuations: Continuations;
  readonly templates: Templates;
  /** Copies of memory, and templates of it, wait here for each other. */
  readonly copies: Queues;
  /** Whether something of this name is being made: a snapshot, beside its machine's queue. */
  readonly underWay: (name: string) => boolean;
  readonly note: (text: string) => void;
}
