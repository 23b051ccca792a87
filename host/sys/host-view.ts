// What the checks of this folder may look at: small text files of /proc and /sys, directories, and versions of packages.
// An interface, so that a host that does not exist can be described in a test.
import { access, open, readdir } from 'node:fs/promises';
import type { Run } from '../exec/index.ts';

/** /proc/cpuinfo of a large host is the longest that is read. */
const FILE_LIMIT_BYTES: number = 4 * 1024 * 1024;
const DPKG_QUERY = '/usr/bin/dpkg-query';

export interface HostView {
  /** The text without its last newline; undefined where it cannot be read. */
  readonly text: (path: string) => Promise<string | undefined>;
  /** The names in a directory, none where it cannot be read. */
  readonly names: (path: string) => Promise<readonly string[]>;
  readonly exists: (path: string) => Promise<boolean>;
  /** Versions of those Debian packages that are installed. */
  readonly packages: (names: readonly string[]) => Promise<ReadonlyMap<string, string>>;
}

export function realHost(run: Run): HostView {
  return {
    text: async (path) => {
      const handle = await open(path, 'r').catch(() => undefined);
      if (handle === undefined) return undefined;
      try {
        // Files of /proc and /sys say 0 for their length.
        const parts: Buffer[] = [];
        for (let bytes = 0; bytes < FILE_LIMIT_BYTES;) {
          const { buffer, bytesRead } = await handle.read(Buffer.alloc(64 * 1024), 0, 64 * 1024, null);
          if (bytesRead === 0) break;
          bytes += bytesRead;
          parts.push(buffer.subarray(0, bytesRead));
        }
        return Buffer.concat(parts).toString('utf8').replace(/\n$/, '');
      } catch {
        return undefined;
      } finally {
        await handle.close();
      }
    },
    names: async (path) => {
      try {
        return (await readdir(path)).toSorted();
      } catch {
        return [];
      }
    },
    exists: (path) =>
      access(path).then(
        () => true,
        () => false,
      ),
    packages: async (names) => {
      const format = '${db:Status-Status} ${Package} ${Version}\\n';
      try {
        // It ends with status 1 where one of them is unknown, and still lists the others.
        const { stdout } = await run([DPKG_QUERY, '--show', `--showformat=${format}`, '--', ...names]);
        return parsePackages(stdout.toString('utf8'));
      } catch {
        return new Map();
      }
    },
  };
}

/** Pure: lines of `status package version`; only what is installed. */
export function parsePackages(text: string): Map<string, string> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const [status, name, version] = line.split(' ');
      return status === 'installed' && name !== undefined && version !== undefined ? [[name, version] as const] : [];
    }),
  );
}
