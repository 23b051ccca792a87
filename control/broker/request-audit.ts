// What of a request to the broker is written to the audit log.
import type { BrokerRequest } from '@ringwall/api/broker';
import type { AuditEntry } from './audit-log.ts';

/** Whom and what a request is about. */
export function idsOf(
  request: BrokerRequest,
): Pick<
  AuditEntry,
  'disk' | 'snapshot' | 'machine' | 'clone' | 'boot' | 'rewind' | 'recipient' | 'mode' | 'approval' | 'person'
> {
  if (request.op === 'release-disk-key') {
    const { disk, machine, boot } = request.request;
    const rewind = request.rewind === true ? { rewind: true } : {};
    return { disk, ...rewind, ...(machine === undefined ? {} : { machine }), ...(boot === undefined ? {} : { boot }) };
  }
  if ('request' in request) {
    const { snapshot, machine, clone } = request.request;
    const rewind = 'rewind' in request ? { rewind: request.rewind } : {};
    return { snapshot, machine, ...(clone === undefined ? {} : { clone }), ...rewind };
  }
  return {
    ...('disk' in request ? { disk: request.disk } : {}),
    ...('snapshot' in request ? { snapshot: request.snapshot } : {}),
    ...('machine' in request ? { machine: request.machine } : {}),
    ...('boot' in request ? { boot: request.boot } : {}),
    ...('approval' in request ? { approval: request.approval } : {}),
    ...('key' in request ? { person: request.key ?? 'nobody' } : {}),
    ...(request.op === 'export-snapshot' ? { recipient: request.recipient, mode: request.mode } : {}),
  };
}

/** A daemon polls these, or sends them in parts: an entry each would push out what matters. */
const QUIET_OPS: ReadonlySet<BrokerRequest['op']> = new Set([
  'status',
  'read-verdict',
  'read-watches',
  'read-watch',
  'add-image-files',
  'ask-host',
]);

export function isWorthAnEntry(op: BrokerRequest['op']): boolean {
  return !QUIET_OPS.has(op);
}
