// Times as people compare them: always in UTC, because whoever made a proof sits in another zone, with an age beside.

const UNITS: readonly (readonly [seconds: number, name: string])[] = [
  [365 * 24 * 3600, 'year'],
  [24 * 3600, 'day'],
  [3600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
];

/** `2026-11-21 12:00:05 UTC` */
export function formatTime(time: Date): string {
  return `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** `3 hours ago`, `in 5 minutes`, `just now`; whole units, rounded down. */
export function formatAge(time: Date, now: Date): string {
  const seconds = Math.trunc((now.getTime() - time.getTime()) / 1000);
  const [size, name] = UNITS.find(([unit]) => Math.abs(seconds) >= unit) ?? [1, 'second'];
  const count = Math.trunc(Math.abs(seconds) / size);
  if (count === 0) return 'just now';
  const words = `${count} ${name}${count === 1 ? '' : 's'}`;
  return seconds > 0 ? `${words} ago` : `in ${words}`;
}
