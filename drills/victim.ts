// Where the machine under attack keeps its things: what anybody with root on the host can find out.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { parseProof, type Proof, type VtpmEvidence } from '@ringwall/evidence';
import type { Instance } from '@ringwall/testkit';

/** A text that occurs nowhere by chance. */
export function newCanary(): string {
  return `canary-${randomBytes(16).toString('hex')}`;
}

export function kernelOf(ringwall: Instance): string {
  return join(ringwall.stateDir, 'images', 'hello', 'kernel');
}

export async function diskOf(ringwall: Instance, name: string): Promise<string> {
  const { machine } = await ringwall.show(name);
  return join(ringwall.stateDir, 'machines', machine.id, 'disk.img');
}

/** Of the last boot: made to be shown around, so an attacker has it too. */
export async function lastProof(ringwall: Instance, name: string): Promise<Proof> {
  return parseProof(JSON.stringify(await ringwall.api('GET', `/v1/machines/${name}/proof`)));
}

export async function oldEvidence(ringwall: Instance, name: string): Promise<VtpmEvidence> {
  return (await lastProof(ringwall, name)).evidence;
}
