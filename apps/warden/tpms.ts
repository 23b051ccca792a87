// Joins the warden to host/swtpm: each TPM's state is encrypted under a key of its own, which lies wrapped by the host key
// beside the machine's record, so that a stolen state directory without the host key holds no TPM (A4).
import { RingwallError } from '@ringwall/api';
import type { VtpmCa } from '@ringwall/control/ca';
import { readFileBounded, writeFileAtomic } from '@ringwall/control/files';
import { Secret, unwrapKey, WRAPPED_LIMIT_BYTES, wrapKey, type KeyIdentity } from '@ringwall/control/keys';
import type { Layout, MachineLayout, TpmPart } from '@ringwall/control/warden';
import type { UidLeases } from '@ringwall/host/jail';
import {
  manufactureTpm,
  openTpm,
  openWitnessedTpm,
  TPM_STATE_KEY_BYTES,
  type StartingTpm,
  type TpmOptions,
  type WitnessedTpm,
} from '@ringwall/host/swtpm';
import { startWitness, type StartedWitness } from '@ringwall/host/witness';
import { requireComponents, TPM_COMPONENTS } from './components.ts';
import type { MachineLabel } from './jails.ts';

export interface TpmContext {
  readonly layout: Layout;
  readonly hostKey: Secret;
  readonly ca: VtpmCa;
  readonly leases: UidLeases;
  readonly label: MachineLabel;
}

export function makeTpmPart(context: TpmContext): TpmPart {
  return {
    certificates: async () => context.ca.certificates,
    manufacture: async (machine) => {
      await requireComponents(TPM_COMPONENTS);
      using stateKey = await makeStateKey(context, machine);
      try {
        return await manufactureTpm({
          ...tpmOptions(context, machine, stateKey),
          issueEkCertificate: (ekPublic) => context.ca.issueEkCertificate(ekPublic, machine.id),
        });
      } catch (error) {
        // What the TPM itself answered is no defect of ours.
        if (error instanceof RingwallError || !(error instanceof Error)) throw error;
        throw new RingwallError('tpm-failed', `the TPM could not be made: ${error.message}`, { cause: error });
      }
    },
    expect: async (machine) => {
      using _ = await makeStateKey(context, machine);
    },
  };
}

async function makeStateKey({ hostKey }: TpmContext, machine: MachineLayout): Promise<Secret> {
  const stateKey = Secret.random(TPM_STATE_KEY_BYTES);
  await writeFileAtomic(machine.tpmKey, wrapKey(hostKey, keyIdentity(machine), stateKey));
  return stateKey;
}

/** The TPM of a boot; `channel` of the result is QEMU's line to it. */
export function openMachineTpm(context: TpmContext, machine: MachineLayout): Promise<StartingTpm> {
  return withStateKey(context, machine, (options) => openTpm(options, 'control'));
}

/** Of a machine that cannot speak for itself: its lines are the witness's. */
export function openWitnessedMachineTpm(
  context: TpmContext,
  machine: MachineLayout,
  waiting: boolean,
): Promise<WitnessedTpm> {
  return withStateKey(context, machine, (options) => openWitnessedTpm(options, waiting));
}

async function withStateKey<T extends StartingTpm>(
  context: TpmContext,
  machine: MachineLayout,
  open: (options: TpmOptions) => Promise<T>,
): Promise<T> {
  const wrapped = await readFileBounded(machine.tpmKey, WRAPPED_LIMIT_BYTES);
  if (wrapped === undefined) {
    throw new RingwallError('tpm-failed', `${machine.tpmKey} is gone: nothing else opens this machine's TPM`, {
      hint: 'restore it from a backup',
    });
  }
  using opened = new DisposableStack();
  const stateKey = opened.use(unwrapKey(context.hostKey, keyIdentity(machine), wrapped));
  const tpm = await open(tpmOptions(context, machine, stateKey));
  const untilStarted = opened.move();
  const forget = (): void => untilStarted.dispose();
  tpm.started.then(forget, forget);
  return tpm;
}

/** Of a machine that cannot speak for itself. `channel` of the result is QEMU's line. */
export async function startMachineWitness(
  { layout, leases, label }: TpmContext,
  machine: MachineLayout,
  { channel: tpm, control, started }: WitnessedTpm,
  waiting: boolean,
): Promise<StartedWitness> {
  await started;
  const { witnessDir: runDir } = machine;
  const ends = { tpm, control, waiting };
  return await startWitness({ machine: label(machine), ...ends, runDir, privateDir: layout.private, leases });
}

function tpmOptions({ layout, leases, label }: TpmContext, machine: MachineLayout, stateKey: Secret): TpmOptions {
  return {
    machine: label(machine),
    stateDir: machine.tpmState,
    runDir: machine.tpmDir,
    privateDir: layout.private,
    stateKey: stateKey.expose(),
    leases,
  };
}

function keyIdentity(machine: MachineLayout): KeyIdentity {
  return { kind: 'tpm-state-key', id: machine.id, version: 1 };
}
