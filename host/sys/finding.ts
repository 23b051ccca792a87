// How a check of the host becomes a line of `ringwall doctor`: what was seen, and what that means either way.
import type { Finding } from '@ringwall/api';
import type { HostView } from './host-view.ts';

export interface HostCheck {
  readonly id: string;
  readonly title: string;
  /** What it means where it is present, and where it is missing. */
  readonly present: string;
  readonly missing: string;
  /** How to get it. */
  readonly hint: string;
  readonly look: (host: HostView) => Promise<Look>;
}

/** `present` undefined: it cannot be told. */
export interface Look {
  readonly present: boolean | undefined;
  readonly seen: string;
}

export async function findingOf(check: HostCheck, host: HostView): Promise<Finding> {
  const look = await check
    .look(host)
    .catch((error: unknown): Look => ({ present: undefined, seen: `not readable: ${String(error)}` }));
  const { id, title } = check;
  if (look.present === true) return { id, title, state: 'present', seen: look.seen, meaning: check.present };
  const state = look.present === false ? 'missing' : 'unknown';
  return { id, title, state, seen: look.seen, meaning: check.missing, hint: check.hint };
}
