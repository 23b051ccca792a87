// Where the machine under attack keeps its things: what anybody with root on the host can find out.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Machine } from '@ringwall/api';
import { snapshotListSchema } from '@ringwall/api/snapshots';
import { parseProof, type Proof, type VtpmEvidence } from '@ringwall/evidence';
import type { Instance } from '@ringwall/testkit';

const LOOK_MS = 200;

/** A text that occurs nowhere by chance. */
export function newCanary(): string {
  return `canary-${randomBytes(16).toString('hex')}`;
}

export function kernelOf(ringwall: Instance): string {
  return join(ringwall.stateDir, 'images', 'hello', 'kernel');
}

/** As ringwalld shows it. Answers the first reason (or the trust itself); undefined where it does not come to that. */
export async function untilTrust(
  ringwall: Instance,
  name: string,
  wanted: readonly Machine['status']['trust'][],
  timeoutMs: number,
): Promise<string | undefined> {
  const deadlineMs = performance.now() + timeoutMs;
  while (performance.now() < deadlineMs) {
    const { trust, reasons } = (await ringwall.detail(name)).machine.status;
    if (wanted.includes(trust)) return reasons[0] ?? trust;
    await sleep(LOOK_MS);
  }
  return undefined;
}

export async function diskOf(ringwall: Instance, name: string): Promise<string> {
  const { machine } = await ringwall.show(name);
  return join(ringwall.stateDir, 'machines', machine.id, 'disk.img');
}

/** The files of its snapshots, the newest first, with the names that a person knows them by. */
export async function snapshotsOf(
  ringwall: Instance,
  name: string,
): Promise<readonly { readonly name: string; readonly file: string }[]> {
  const { snapshots } = snapshotListSchema.parse(await ringwall.api('GET', '/v1/snapshots'));
  return snapshots
    .filter(({ machineName }) => machineName === name)
    .map(({ id, machine, sequence }) => ({
      name: `${name}@${String(sequence)}`,
      file: join(ringwall.stateDir, 'snapshots', machine, `${id}.sealed`),
    }));
}

/** Of the last boot: made to be shown around, so an attacker has it too. */
export async function lastProof(ringwall: Instance, name: string): Promise<Proof> {
  return parseProof(JSON.stringify(await ringwall.api('GET', `/v1/machines/${name}/proof`)));
}

export async function oldEvidence(ringwall: Instance, name: string): Promise<VtpmEvidence> {
  return (await lastProof(ringwall, name)).evidence;
}
