// Sizes and times as people write and read them: `--memory 2G`, `512 MiB`, `3 h`.
import { RingwallError } from '@ringwall/api/errors';

const MIB_OF_UNIT: Readonly<Record<string, number>> = { m: 1, g: 1024, t: 1024 * 1024 };

/** `512`, `512M`, `512MiB`, `1.5G`, `2t`: mebibytes. Units are binary, as memory is. */
export function parseMiB(text: string, option: string): number {
  const match = /^(\d{1,12}(?:\.\d{1,3})?) ?([mgt])?(?:i?b)?$/i.exec(text.trim());
  const mib = Number(match?.[1]) * (MIB_OF_UNIT[(match?.[2] ?? 'm').toLowerCase()] ?? 1);
  if (match === null || !Number.isSafeInteger(mib) || mib === 0) {
    throw new RingwallError('bad-request', `${option} ${JSON.stringify(text)} is not a size in whole MiB`, {
      hint: `write it as ${option} 512M or ${option} 2G`,
    });
  }
  return mib;
}

export function parseCount(text: string, option: string, max: number = Number.MAX_SAFE_INTEGER): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(count) || count > max) {
    throw new RingwallError('bad-request', `${option} ${JSON.stringify(text)} is not a whole number`, {
      hint: max === Number.MAX_SAFE_INTEGER ? `write it as ${option} 2` : `from 0 to ${String(max)}`,
    });
  }
  return count;
}

export function formatMiB(mib: number): string {
  if (mib >= 1024 * 1024 && mib % (1024 * 128) === 0) return `${String(mib / 1024 / 1024)} TiB`;
  if (mib >= 1024 && mib % 128 === 0) return `${String(mib / 1024)} GiB`;
  return `${String(mib)} MiB`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${String(bytes)} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ${units[unit] ?? ''}`;
}

const SECONDS_OF_UNIT: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** `90s`, `30m`, `2h`, `7d`. */
export function parseSeconds(text: string, option: string): number {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  const seconds = Number(match?.[1]) * (SECONDS_OF_UNIT[match?.[2] ?? ''] ?? Number.NaN);
  if (Number.isNaN(seconds) || seconds === 0) {
    throw new RingwallError('bad-request', `${option} ${JSON.stringify(text)} is no time`, {
      hint: `as in ${option} 30m, 2h or 7d`,
    });
  }
  return seconds;
}

/** As `parseSeconds` reads it, in the largest unit that says it whole: `90 min`, `2 h`, `7 d`. */
export function formatSpan(seconds: number): string {
  if (seconds % 86_400 === 0) return `${String(seconds / 86_400)} d`;
  if (seconds % 3_600 === 0) return `${String(seconds / 3_600)} h`;
  return seconds % 60 === 0 ? `${String(seconds / 60)} min` : `${String(seconds)} s`;
}

/** How long ago, in the largest unit that fits: `12 s`, `3 min`, `5 h`, `9 d`. */
export function formatAge(since: string, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(since)) / 1000));
  if (Number.isNaN(seconds)) return '?';
  if (seconds < 60) return `${String(seconds)} s`;
  if (seconds < 3600) return `${String(Math.floor(seconds / 60))} min`;
  if (seconds < 2 * 86_400) return `${String(Math.floor(seconds / 3600))} h`;
  return `${String(Math.floor(seconds / 86_400))} d`;
}

/** `2026-11-21 02:14:05 UTC`: the same for every reader of a report. */
export function formatTime(iso: string): string {
  return iso.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC');
}
