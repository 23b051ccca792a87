// Parsers of what /proc says about a process (proc(5)). Pure; the text is the kernel's, but names in it can be chosen
// by the process.
import { unescapeMount } from './rundir.ts';

export interface ProcStatus {
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  readonly groups: readonly number[];
  /** Inheritable, permitted, effective, bounding, ambient, as the kernel writes them. */
  readonly capabilities: Readonly<Record<'inh' | 'prm' | 'eff' | 'bnd' | 'amb', string>>;
  readonly noNewPrivs: number;
  readonly seccomp: number;
  readonly seccompFilters: number;
}

export interface Mount {
  /** major:minor. */
  readonly device: string;
  readonly root: string;
  readonly point: string;
  readonly options: readonly string[];
  readonly type: string;
}

export interface MemoryMapping {
  readonly sizeKiB: number;
  readonly flags: readonly string[];
  /** As the process finds it; empty where there is none behind it. Of the kernel's own, a name in brackets. */
  readonly file: string;
}

export function parseStatus(text: string): ProcStatus {
  const field = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';
  const numbers = (name: string): number[] => field(name).split(/\s+/).filter(Boolean).map(Number);
  return {
    uids: numbers('Uid'),
    gids: numbers('Gid'),
    groups: numbers('Groups'),
    capabilities: {
      inh: field('CapInh'),
      prm: field('CapPrm'),
      eff: field('CapEff'),
      bnd: field('CapBnd'),
      amb: field('CapAmb'),
    },
    noNewPrivs: Number(field('NoNewPrivs') || 'NaN'),
    seccomp: Number(field('Seccomp') || 'NaN'),
    seccompFilters: Number(field('Seccomp_filters') || 'NaN'),
  };
}

/** Soft and hard limit by the name that /proc/PID/limits gives it; `unlimited` is Infinity. */
export function parseLimits(text: string): Map<string, { soft: number; hard: number }> {
  const limits = new Map<string, { soft: number; hard: number }>();
  for (const line of text.split('\n')) {
    const match = /^(Max [a-z ]+?)\s{2,}(\S+)\s+(\S+)/.exec(line);
    if (match === null) continue;
    const value = (word: string | undefined): number =>
      word === 'unlimited' ? Number.POSITIVE_INFINITY : Number(word);
    limits.set(match[1] ?? '', { soft: value(match[2]), hard: value(match[3]) });
  }
  return limits;
}

export function parseMountinfo(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ', 2);
    const [, , device, root, point, options] = before.split(' ');
    const [type] = after.split(' ');
    if (
      device === undefined ||
      root === undefined ||
      point === undefined ||
      options === undefined ||
      type === undefined
    )
      return [];
    return [{ device, root: unescapeMount(root), point: unescapeMount(point), options: options.split(','), type }];
  });
}

/** The path of a process in each hierarchy: by controller for v1, under '' for v2. */
export function parseProcCgroup(text: string): Map<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\d+:([^:]*):(.*)$/.exec(line);
    for (const controller of match?.[1]?.split(',') ?? []) paths.set(controller, match?.[2] ?? '');
  }
  return paths;
}

export function parseSmaps(text: string): MemoryMapping[] {
  const mappings: MemoryMapping[] = [];
  let file = '';
  let sizeKiB = 0;
  for (const line of text.split('\n')) {
    const head = /^[0-9a-f]+-[0-9a-f]+ \S{4} [0-9a-f]+ \S+ \d+\s*(.*)$/.exec(line);
    if (head !== null) file = head[1] ?? '';
    const size = /^Size:\s+(\d+) kB$/.exec(line);
    if (size !== null) sizeKiB = Number(size[1]);
    const flags = /^VmFlags:\s*(.*)$/.exec(line);
    if (flags !== null) mappings.push({ sizeKiB, file, flags: (flags[1] ?? '').trim().split(/\s+/) });
  }
  return mappings;
}

/** The names of the network interfaces in /proc/PID/net/dev. */
export function parseInterfaces(text: string): string[] {
  return text.split('\n').flatMap((line) => /^\s*([^\s:|]+):/.exec(line)?.[1] ?? []);
}
