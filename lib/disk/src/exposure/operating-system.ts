// Which system a file system holds, by the files that say so.
import type { FileSystem } from '../filesystems/file-system.ts';

export interface OperatingSystem {
  /** 'Debian GNU/Linux 12 (bookworm)'. */
  readonly name: string;
  readonly family: 'linux' | 'windows' | 'bsd' | 'macos' | 'unknown';
  readonly hostname?: string;
}

/** os-release has some twenty lines. */
const MAX_OS_RELEASE_BYTES = 64 * 1024;
const MAX_HOSTNAME_BYTES = 256;

export type ReadText = (path: string, maxBytes: number) => string | undefined;

/** Undefined where nothing says that a system lies there. `readText` follows links inside the file system. */
export function recogniseSystem(fs: FileSystem, readText: ReadText): OperatingSystem | undefined {
  const release =
    readText('/etc/os-release', MAX_OS_RELEASE_BYTES) ?? readText('/usr/lib/os-release', MAX_OS_RELEASE_BYTES);
  const hostname = readText('/etc/hostname', MAX_HOSTNAME_BYTES)?.trim();
  const host = hostname === undefined || hostname === '' ? {} : { hostname };
  if (release !== undefined) {
    const name = valueOf(release, 'PRETTY_NAME') ?? valueOf(release, 'NAME') ?? 'a Linux system';
    return { name, family: valueOf(release, 'ID') === 'freebsd' ? 'bsd' : 'linux', ...host };
  }
  for (const [path, system] of WITNESSES) {
    if (exists(fs, path)) return { ...system, ...host };
  }
  return undefined;
}

const WITNESSES: readonly (readonly [readonly string[], OperatingSystem])[] = [
  [['Windows', 'System32', 'config', 'SYSTEM'], { name: 'Windows', family: 'windows' }],
  [['System', 'Library', 'CoreServices', 'SystemVersion.plist'], { name: 'macOS', family: 'macos' }],
  [['etc', 'alpine-release'], { name: 'Alpine Linux', family: 'linux' }],
  [['etc', 'debian_version'], { name: 'Debian GNU/Linux', family: 'linux' }],
  [['etc', 'redhat-release'], { name: 'a Red Hat system', family: 'linux' }],
  [['etc', 'passwd'], { name: 'a Unix system', family: 'unknown' }],
];

function exists(fs: FileSystem, path: readonly string[]): boolean {
  let node = fs.root;
  for (const name of path) {
    if (node.kind !== 'directory') return false;
    const next = node.lookup(name);
    if (next === undefined) return false;
    node = next;
  }
  return true;
}

function valueOf(release: string, key: string): string | undefined {
  for (const line of release.split('\n')) {
    if (!line.startsWith(`${key}=`)) continue;
    const value = line.slice(key.length + 1).trim();
    return /^(["']).*\1$/.test(value) ? value.slice(1, -1) : value;
  }
  return undefined;
}
