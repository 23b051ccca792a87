import { describe, expect, test } from 'vitest';
import { cgroupDirs, compileCgroupLimits, parseCgroupLayout } from './cgroup.ts';

const V1 = `30 24 0:26 / /sys/fs/cgroup/cpu,cpuacct rw shared:5 - cgroup cgroup rw,cpu,cpuacct
31 24 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
32 24 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
33 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate`;
const V2 = '33 24 0:29 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate';
const LIMITS = { memoryBytes: 67_108_864, tasks: 16, cpus: 1.5 };

describe('parseCgroupLayout()', () => {
  test('finds each controller in its own v1 hierarchy beside a v2 without any', () => {
    expect(parseCgroupLayout(V1, '').controllers).toEqual({
      cpu: { version: 1, mount: '/sys/fs/cgroup/cpu,cpuacct' },
      memory: { version: 1, mount: '/sys/fs/cgroup/memory' },
      pids: { version: 1, mount: '/sys/fs/cgroup/pids' },
    });
  });

  test('finds all of them in v2', () => {
    const place = { version: 2, mount: '/sys/fs/cgroup' };
    expect(parseCgroupLayout(V2, 'cpuset cpu io memory pids').controllers).toEqual({
      cpu: place,
      memory: place,
      pids: place,
    });
  });

  test('takes a controller where it is, on a host with both', () => {
    const { controllers } = parseCgroupLayout(V1.replace(/^32.*\n/m, ''), 'pids');
    expect(controllers.pids).toEqual({ version: 2, mount: '/sys/fs/cgroup/unified' });
    expect(controllers.memory?.version).toBe(1);
  });

  test.each(['', 'garbage', ' - ', '1 2 3 - cgroup'])('finds nothing in %j', (text) => {
    expect(parseCgroupLayout(text, '').controllers).toEqual({});
  });
});

describe('compileCgroupLimits()', () => {
  const lines = (mountinfo: string, unified: string): string =>
    compileCgroupLimits(parseCgroupLayout(mountinfo, unified), 'm-vmm', LIMITS)
      .map(({ file, value, optional }) => `${value} > ${file}${optional === true ? ' (where it is)' : ''}`)
      .join('\n');

  test('writes the files of v1', () => expect(lines(V1, '')).toMatchSnapshot());
  test('writes the files of v2', () => expect(lines(V2, 'cpu memory pids')).toMatchSnapshot());
});

test.each(['', '..', 'a/b', '../x', 'A', '-x', '.hidden', 'x\n', 'x'.repeat(65)])('no cgroup is named %j', (name) => {
  expect(() => cgroupDirs(parseCgroupLayout(V2, 'memory'), name)).toThrow('cannot name a cgroup');
});

test('cgroupDirs() names a directory once that has several controllers', () => {
  expect(cgroupDirs(parseCgroupLayout(V2, 'cpu memory pids'), 'm-vmm')).toEqual(['/sys/fs/cgroup/ringwall/m-vmm']);
});
