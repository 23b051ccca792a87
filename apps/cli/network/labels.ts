// Labels as people type and read them: `role=web,tier=1`.
import { RingwallError } from '@ringwall/api/errors';

/** `role=web,tier=1`; the rest is for the daemon to judge, which knows the labels of the network. */
export function parseLabels(text: string): Record<string, string> {
  const pairs = text.split(',').map((pair) => {
    const [key = '', value, ...more] = pair.split('=');
    if (key !== '' && value !== undefined && value !== '' && more.length === 0) return [key, value] as const;
    throw new RingwallError('bad-request', `${JSON.stringify(pair)} is no label`, { hint: 'as in role=web,tier=1' });
  });
  const labels = Object.fromEntries(pairs);
  if (Object.keys(labels).length === pairs.length) return labels;
  throw new RingwallError('bad-request', `${JSON.stringify(text)} has a label with two values`, {
    hint: 'a machine has one value for each key',
  });
}

export function printLabels(labels: Readonly<Record<string, unknown>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(',');
}
