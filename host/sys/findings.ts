// Everything that `ringwall doctor` says about a host: each protection, whether it is there, and what that means.
import type { Finding } from '@ringwall/api';
import { COMPONENT_CHECKS } from './component-checks.ts';
import { CPU_CHECKS, kvmCheck } from './cpu-checks.ts';
import { findingOf } from './finding.ts';
import type { HostView } from './host-view.ts';
import { hostTpmCheck } from './host-tpm-check.ts';
import { KERNEL_CHECKS } from './kernel-checks.ts';
import { storageChecks } from './storage-checks.ts';

export interface FindingsOptions {
  readonly host: HostView;
  /** What became of the probe guest, where one was started. */
  readonly probe: { readonly accelerator: 'kvm' | 'tcg'; readonly reason: string } | undefined;
  readonly stateDir: string;
}

export async function hostFindings({ host, probe, stateDir }: FindingsOptions): Promise<Finding[]> {
  const checks = [
    kvmCheck(probe),
    ...CPU_CHECKS,
    hostTpmCheck(stateDir),
    ...KERNEL_CHECKS,
    ...storageChecks(stateDir),
    ...COMPONENT_CHECKS,
  ];
  return Promise.all(checks.map((check) => findingOf(check, host)));
}
