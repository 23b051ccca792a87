// Whose word a reference is that this host signs, and for how long it counts.
import { hostname } from 'node:os';

/** Each start signs anew: only what nobody starts, and what a person accepted, gets as old as this. */
const REFERENCE_LIFE_MS = 90 * 24 * 3600 * 1000;
/** Clocks differ, and the broker may be on another host. */
const CLOCK_SKEW_MS = 5 * 60 * 1000;

export function ownWord(): { readonly by: string; readonly notBefore: Date; readonly notAfter: Date } {
  const now = Date.now();
  const name = hostname().replaceAll(/[^A-Za-z0-9.-]/g, '?');
  return {
    by: `the host ${name.slice(0, 64)}`,
    notBefore: new Date(now - CLOCK_SKEW_MS),
    notAfter: new Date(now + REFERENCE_LIFE_MS),
  };
}
