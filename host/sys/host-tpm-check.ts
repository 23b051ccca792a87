// Whether this host can prove itself: a TPM, the log of its boot, and a kernel that measures what runs.
import { join } from 'node:path';
import type { HostCheck, Look } from './finding.ts';
import type { HostView } from './host-view.ts';

const DEVICE = '/dev/tpmrm0';
const SECURITY = '/sys/kernel/security';
const EVENT_LOG = `${SECURITY}/tpm0/binary_bios_measurements`;
const MEASURED_FILES = `${SECURITY}/ima/runtime_measurements_count`;

export function hostTpmCheck(stateDir: string): HostCheck {
  return {
    id: 'cpu.host-tpm',
    title: 'TPM of the host, and a record of what boots and runs',
    present: 'the host can prove what it booted and what ran, and the proofs of its machines can contain that',
    missing: 'the host itself (A6, A7) proves nothing: believe a machine’s evidence as far as you believe its host',
    hint: 'a TPM 2.0, switched on in firmware, and an IMA policy: docs/protocols/host-evidence.md; then ringwall reference host',
    look: (host) => lookAtTpm(host, join(stateDir, 'warden/host-tpm.json')),
  };
}

async function lookAtTpm(host: HostView, config: string): Promise<Look> {
  if (await host.exists(config)) return { present: true, seen: `as ${config} says` };
  if (!(await host.exists(DEVICE))) return { present: false, seen: `no ${DEVICE}` };
  const lacks: string[] = [];
  if (!(await host.exists(EVENT_LOG))) lacks.push('no boot log');
  // The kernel's own first entry is there without any policy.
  const measured = Number((await host.text(MEASURED_FILES)) ?? 0);
  if (!(measured > 1)) lacks.push('no IMA policy, so nothing that runs is measured');
  if (lacks.length > 0) return { present: false, seen: `${DEVICE}, but ${lacks.join(' and ')}` };
  return { present: true, seen: `${DEVICE}, a boot log, ${measured} measured files` };
}
