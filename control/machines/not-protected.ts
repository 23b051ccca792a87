// What is not protected on this host, as sentences: said of every machine, next to what was proven.
import { FOREIGN_IMAGE, type Finding, type Machine, type Protection } from '@ringwall/api';

export const EMULATED_LABEL = 'emulated: no isolation boundary';

export interface NotProtectedFacts {
  readonly machine: Machine;
  /** Undefined where the warden did not say. */
  readonly findings: readonly Finding[] | undefined;
  /** Undefined where the warden did not say. */
  readonly protections: readonly Protection[] | undefined;
}

export function notProtected({ machine, findings, protections }: NotProtectedFacts): string[] {
  const sentences: string[] = [];
  if (findings === undefined) sentences.push('the warden does not say what this host protects');
  if (protections === undefined) sentences.push('the warden does not say which walls of this machine hold');
  for (const finding of findings ?? []) {
    if (finding.state !== 'present' && concerns(finding.id, machine)) sentences.push(sentenceOf(finding));
  }
  if (machine.status.accelerator === 'tcg' && !sentences.some((sentence) => sentence.startsWith(EMULATED_LABEL))) {
    sentences.push(EMULATED_LABEL);
  }
  if (machine.status.phase === 'running' && machine.status.watch === undefined) {
    sentences.push('what runs on it since its boot is not watched');
  }
  const { goesOnFrom } = machine.status;
  if (goesOnFrom !== undefined) {
    sentences.push(
      `it goes on from the memory of ${goesOnFrom}: whatever secret that held is known to all that go on from it`,
    );
  }
  if (machine.spec.image === FOREIGN_IMAGE) {
    sentences.push('its disk is opened before anything is proven: its key is given to the VMM at each start');
  }
  for (const { title, state, seen } of protections ?? []) {
    if (state === 'missing') sentences.push(`a wall of this machine does not hold: ${title} (${seen})`);
    if (state === 'unknown') sentences.push(`nobody can say whether a wall of this machine holds: ${title} (${seen})`);
  }
  return [...new Set(sentences)];
}

/**
 * The findings of the host that leave a machine open to somebody. The others are about the host's own programs, or
 * about what a machine's walls do not lean on: `ringwall doctor` lists them all.
 */
const KVM = 'cpu.kvm';
const CONCERNING: ReadonlySet<string> = new Set([
  KVM,
  'cpu.vulnerabilities',
  'cpu.smt',
  'cpu.memory-encryption',
  'cpu.host-tpm',
  'kernel.seccomp',
  'kernel.cgroups',
  'kernel.lockdown',
  'kernel.core-pattern',
  'memory.no-clear-swap',
  'disk.encrypted-state',
]);

function concerns(id: string, machine: Machine): boolean {
  return CONCERNING.has(id) && !(id === KVM && machine.status.accelerator === 'kvm');
}

function sentenceOf({ id, title, state, meaning, seen }: Finding): string {
  if (state === 'unknown') return `nobody can say whether this host has it: ${title} (${seen})`;
  return id === KVM ? `${EMULATED_LABEL} (${seen})` : `${meaning} (${seen})`;
}
