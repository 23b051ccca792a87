import { type Machine, MACHINE_PHASES, newBootId, newMachineId, newOperationId, type Operation } from '@ringwall/api';
import type { RunningMachine } from '@ringwall/api/warden';
import { describe, expect, test } from 'vitest';
import { type AdoptionCase, decideAdoption } from './adoption.ts';

const AT = '2026-01-02T03:04:05.678Z';
const id = newMachineId();
const boot = newBootId();

function machineIn(phase: Machine['status']['phase'], running = true): Machine {
  return {
    id,
    tenant: 'default',
    name: 'web',
    version: 1,
    createdAt: AT,
    spec: {
      image: 'hello',
      cpus: 1,
      memoryMiB: 512,
      diskMiB: 64,
      isolation: 'vm',
      running,
      watch: 'enforce',
      encryption: 'guest',
    },
    status: { phase, trust: 'unknown', reasons: [], diskUnlocked: false, bootId: boot },
  };
}

function seenIn(state: RunningMachine['state'], ofBoot = boot): RunningMachine {
  return { machine: id, boot: ofBoot, state, accelerator: 'tcg', startedAt: AT, vmmPid: 1, tpmPid: 2 };
}

function operationOf(kind: Operation['kind']): Operation {
  return { id: newOperationId(), kind, machine: id, state: 'running', step: '', createdAt: AT, updatedAt: AT };
}

function decide(given: Partial<AdoptionCase>): string {
  const machine = given.machine ?? machineIn('running');
  return decideAdoption({ operation: undefined, seen: undefined, hostRestarted: false, ...given, machine }).do;
}

describe('decideAdoption()', () => {
  test.each(['running', 'refused', 'attesting', 'starting'] as const)('%s, and it runs: watched', (phase) => {
    expect(decide({ machine: machineIn(phase), seen: seenIn('running') })).toBe('watch');
    expect(decide({ machine: machineIn(phase), seen: seenIn('tpm-dead') })).toBe('watch');
  });

  test.each([undefined, seenIn('vmm-dead'), seenIn('running', newBootId())])(
    'running, and this boot of it is not there: ended',
    (seen) => {
      expect(decide({ seen })).toBe('ended');
    },
  );

  test('running, and the host was restarted: started again, unless it was refused', () => {
    expect(decide({ hostRestarted: true })).toBe('start');
    expect(decide({ hostRestarted: true, machine: machineIn('refused') })).toBe('ended');
    expect(decide({ hostRestarted: true, machine: machineIn('running', false) })).toBe('ended');
  });

  test.each(['stopped', 'failed'] as const)('%s, and something of it is there: ended', (phase) => {
    const machine = machineIn(phase, false);
    expect(decide({ machine, seen: seenIn('running') })).toBe('end-stray');
    expect(decide({ machine, seen: seenIn('vmm-dead') })).toBe('end-stray');
    expect(decide({ machine })).toBe('nothing');
  });

  test.each(MACHINE_PHASES)('%s with an operation that had not ended: gone on with', (phase) => {
    for (const kind of ['machine.stop', 'machine.remove'] as const) {
      expect(decide({ machine: machineIn(phase), operation: operationOf(kind), seen: seenIn('running') })).toBe(
        'resume',
      );
    }
    const start = decide({
      machine: machineIn(phase),
      operation: operationOf('machine.start'),
      seen: seenIn('running'),
    });
    expect(start).toBe(phase === 'running' ? 'close-operation' : 'resume');
  });

  test('a start that was done, and its machine died since: gone on with', () => {
    expect(decide({ operation: operationOf('machine.start') })).toBe('resume');
  });
});
