// Waiting for what an instance will come to, without a fixed sleep.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Machine } from '@ringwall/api';
import type { Instance } from '@ringwall/testkit';

const POLL_MS = 100;
const DEFAULT_TIMEOUT_MS = 120_000;

export async function until(look: () => Promise<boolean>, timeoutMs: number = DEFAULT_TIMEOUT_MS): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await look())) {
    if (performance.now() > deadline) throw new Error(`waited ${String(timeoutMs)} ms for nothing`);
    await sleep(POLL_MS);
  }
}

export async function phaseOf(ringwall: Instance, name: string): Promise<Machine['status']['phase'] | undefined> {
  // A machine that a command is about to make is not there yet.
  return (await ringwall.detail(name).catch(() => undefined))?.machine.status.phase;
}
