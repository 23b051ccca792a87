// The word of two people, as the API asks for it. All of it is decided by the broker, and lies in its audit log.
import { RingwallError } from '@ringwall/api';
import {
  approvalIdSchema,
  type Approval,
  type ApprovalId,
  type Approvals as Listed,
  type ChangedOrWaits,
} from '@ringwall/api/approvals';
import { checkMachineReference } from './names.ts';
import type { WorkParts } from './work.ts';

export class Approvals {
  readonly #parts: Pick<WorkParts, 'store' | 'broker'>;

  constructor(parts: Pick<WorkParts, 'store' | 'broker'>) {
    this.#parts = parts;
  }

  list(): Promise<Listed> {
    return this.#parts.broker.call({ op: 'list-approvals' });
  }

  async show(id: string): Promise<Approval> {
    return this.#parts.broker.call({ op: 'read-approval', approval: idOf(id) });
  }

  async sign(id: string, { key, signature }: { readonly key: string; readonly signature: string }): Promise<Approval> {
    return this.#parts.broker.call({ op: 'sign-approval', approval: idOf(id), key, signature });
  }

  changePerson({ name, key }: { readonly name: string; readonly key: string | null }): Promise<ChangedOrWaits> {
    return this.#parts.broker.call({ op: 'change-person', name, key });
  }

  async require(idOrName: string, required: boolean): Promise<ChangedOrWaits> {
    checkMachineReference(idOrName);
    const machine = await this.#parts.store.findMachine(idOrName);
    if (machine === undefined) throw new RingwallError('not-found', `there is no machine ${idOrName}`);
    return this.#parts.broker.call({ op: 'require-approval', machine: machine.id, required });
  }
}

function idOf(text: string): ApprovalId {
  const id = approvalIdSchema.safeParse(text);
  if (id.success) return id.data;
  throw new RingwallError('bad-request', `${JSON.stringify(text)} names no request`, {
    hint: 'see which wait: ringwall approvals',
  });
}
