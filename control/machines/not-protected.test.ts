import { type Finding, type Machine, newMachineId } from '@ringwall/api';
import { expect, test } from 'vitest';
import { notProtected } from './not-protected.ts';

function machineUnder(accelerator: 'kvm' | 'tcg' | undefined): Machine {
  return {
    id: newMachineId(),
    tenant: 'default',
    name: 'web',
    version: 1,
    createdAt: '2026-01-02T03:04:05.678Z',
    spec: {
      image: 'hello',
      cpus: 1,
      memoryMiB: 512,
      diskMiB: 64,
      isolation: 'vm',
      running: true,
      watch: 'enforce',
      encryption: 'guest',
    },
    status: {
      phase: 'running',
      trust: 'attested',
      reasons: [],
      diskUnlocked: true,
      watch: { mode: 'enforce' },
      ...(accelerator === undefined ? {} : { accelerator }),
    },
  };
}

function finding(id: string, state: Finding['state'], meaning: string, seen: string): Finding {
  return { id, title: `the ${id}`, state, meaning, seen };
}

const KVM = finding('cpu.kvm', 'missing', 'machines are emulated', 'a probe guest under KVM was silent');
const SNP = finding('cpu.memory-encryption', 'missing', 'root on this host (A6) can read the memory', 'neither');

test('notProtected() says what the host lacks, the missing boundary first by its name', () => {
  const sentences = notProtected({ machine: machineUnder('tcg'), findings: [KVM, SNP], protections: [] });
  expect(sentences).toEqual([
    'emulated: no isolation boundary (a probe guest under KVM was silent)',
    'root on this host (A6) can read the memory (neither)',
  ]);
});

test('notProtected() leaves out what is there, and what does not concern a machine', () => {
  const present = { ...SNP, state: 'present' as const };
  const package_ = finding('component.mmdebstrap', 'missing', 'builds the debian image', 'not installed');
  expect(notProtected({ machine: machineUnder('kvm'), findings: [KVM, present, package_], protections: [] })).toEqual(
    [],
  );
});

test('notProtected() counts what could not be found out as not protected', () => {
  const unknown = finding('cpu.smt', 'unknown', 'guests can watch each other', 'no such file');
  expect(notProtected({ machine: machineUnder('kvm'), findings: [unknown], protections: [] })).toEqual([
    'nobody can say whether this host has it: the cpu.smt (no such file)',
  ]);
});

test('notProtected() names walls of the machine that do not hold', () => {
  const wall = { id: 'vmm.seccomp', title: 'seccomp filter', seen: 'Seccomp: 0', stops: 'A2' };
  const protections = [
    { ...wall, state: 'missing' as const },
    { ...wall, id: 'x', title: 'own uid', state: 'unknown' as const },
    { ...wall, id: 'y', state: 'holds' as const },
  ];
  expect(notProtected({ machine: machineUnder('kvm'), findings: [], protections })).toEqual([
    'a wall of this machine does not hold: seccomp filter (Seccomp: 0)',
    'nobody can say whether a wall of this machine holds: own uid (Seccomp: 0)',
  ]);
});

test('notProtected() says so where nobody watches what runs', () => {
  const { status, ...machine } = machineUnder('kvm');
  const { watch: _, ...unwatched } = status;
  const facts = { findings: [], protections: [] };
  const sentence = 'what runs on it since its boot is not watched';
  expect(notProtected({ machine: { ...machine, status: unwatched }, ...facts })).toEqual([sentence]);
  expect(notProtected({ machine: { ...machine, status }, ...facts })).toEqual([]);
});

test('notProtected() takes silence of the warden for no protection', () => {
  expect(notProtected({ machine: machineUnder('tcg'), findings: undefined, protections: undefined })).toEqual([
    'the warden does not say what this host protects',
    'the warden does not say which walls of this machine hold',
    'emulated: no isolation boundary',
  ]);
});
