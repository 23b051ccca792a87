import { findingSchema } from '@ringwall/api';
import { describe, expect, test } from 'vitest';
import { parseMeminfo, readProcessInfo } from './capacity.ts';
import { fakeHost, type FakeHost } from './fake-host.ts';
import { hostFindings } from './findings.ts';
import { parsePackages } from './host-view.ts';

const VULNERABILITIES = '/sys/devices/system/cpu/vulnerabilities';

async function look(id: string, host: FakeHost): Promise<string> {
  const all = await hostFindings({ host: fakeHost(host), probe: undefined, stateDir: '/var/lib/ringwall' });
  const finding = all.find((other) => other.id === id);
  return `${finding?.state}: ${finding?.seen}`;
}

describe('hostFindings()', () => {
  test('of a host that shows nothing claims nothing, and says how to get each', async () => {
    const findings = await hostFindings({ host: fakeHost({}), probe: undefined, stateDir: '/x' });
    for (const finding of findings) {
      findingSchema.parse(finding);
      expect(finding.state === 'present' || finding.hint !== undefined, finding.id).toBe(true);
    }
    expect(findings.filter(({ state }) => state === 'present').map(({ id }) => id)).toEqual([
      'memory.no-merging',
      'memory.no-clear-swap',
    ]);
    expect(new Set(findings.map(({ id }) => id)).size).toBe(findings.length);
  });

  test('believes the probe guest about KVM, and nothing else', async () => {
    const options = { host: fakeHost({ files: { '/dev/kvm': '' } }), stateDir: '/x' };
    const kvm = async (
      probe: { accelerator: 'kvm' | 'tcg'; reason: string } | undefined,
    ): Promise<string | undefined> =>
      (await hostFindings({ ...options, probe })).find(({ id }) => id === 'cpu.kvm')?.state;
    expect(await kvm(undefined)).toBe('unknown');
    expect(await kvm({ accelerator: 'tcg', reason: 'silent' })).toBe('missing');
    expect(await kvm({ accelerator: 'kvm', reason: 'came up' })).toBe('present');
  });

  const swap = (name: string): Record<string, string> => ({
    '/proc/swaps': `Filename Type Size Used Priority\n${name} partition 1 0 -2`,
  });
  const mounts = (...lines: string[]): Record<string, string> => ({ '/proc/self/mountinfo': lines.join('\n') });
  const root = '20 1 254:1 / / rw - ext4 /dev/vda1 rw';

  test.each<[string, string, FakeHost, string]>([
    [
      'a mitigated processor',
      'cpu.vulnerabilities',
      { files: { [`${VULNERABILITIES}/mds`]: 'Mitigation: Clear CPU buffers; SMT vulnerable' } },
      'present: 1 known, none open',
    ],
    [
      'an open one',
      'cpu.vulnerabilities',
      {
        files: { [`${VULNERABILITIES}/mds`]: 'Vulnerable: no microcode', [`${VULNERABILITIES}/l1tf`]: 'Not affected' },
      },
      'missing: mds: Vulnerable: no microcode',
    ],
    ['sibling threads', 'cpu.smt', { files: { '/sys/devices/system/cpu/smt/active': '1' } }, 'missing: active'],
    [
      'SEV-SNP',
      'cpu.memory-encryption',
      { files: { '/sys/module/kvm_amd/parameters/sev_snp': 'Y' } },
      'present: SEV-SNP',
    ],
    [
      'no SEV-SNP',
      'cpu.memory-encryption',
      { files: { '/sys/module/kvm_amd/parameters/sev_snp': 'N' } },
      'missing: neither in the kernel’s KVM',
    ],
    [
      'IOMMU groups',
      'cpu.iommu',
      { files: { '/sys/kernel/iommu_groups/0/type': 'DMA', '/sys/kernel/iommu_groups/1/type': 'DMA' } },
      'present: 2 groups',
    ],
    [
      'microcode',
      'cpu.microcode',
      { files: { '/proc/cpuinfo': 'microcode\t: 0x42' }, packages: { 'amd64-microcode': '3.1' } },
      'present: amd64-microcode 3.1, running 0x42',
    ],
    [
      'user namespaces that only root may make',
      'kernel.user-namespaces',
      { files: { '/proc/sys/user/max_user_namespaces': '100', '/proc/sys/kernel/unprivileged_userns_clone': '0' } },
      'missing: up to 100, forbidden to all but root',
    ],
    [
      'user namespaces that AppArmor restricts',
      'kernel.user-namespaces',
      {
        files: {
          '/proc/sys/user/max_user_namespaces': '100',
          '/proc/sys/kernel/apparmor_restrict_unprivileged_userns': '1',
        },
      },
      'missing: up to 100, restricted by AppArmor',
    ],
    [
      'a v2 host',
      'kernel.cgroups',
      {
        files: {
          ...mounts('1 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw'),
          '/sys/fs/cgroup/cgroup.controllers': 'cpu memory pids',
        },
      },
      'present: memory v2, pids v2, cpu v2',
    ],
    [
      'a v2 host without the memory controller',
      'kernel.cgroups',
      {
        files: {
          ...mounts('1 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw'),
          '/sys/fs/cgroup/cgroup.controllers': 'cpu pids',
        },
      },
      'missing: memory missing, pids v2, cpu v2',
    ],
    [
      'a core pattern that is a file',
      'kernel.core-pattern',
      { files: { '/proc/sys/kernel/core_pattern': 'core' } },
      'missing: core',
    ],
    [
      'lockdown',
      'kernel.lockdown',
      { files: { '/sys/kernel/security/lockdown': 'none [integrity] confidentiality' } },
      'present: integrity',
    ],
    [
      'no lockdown',
      'kernel.lockdown',
      { files: { '/sys/kernel/security/lockdown': '[none] integrity confidentiality' } },
      'missing: none',
    ],
    ['KSM', 'memory.no-merging', { files: { '/sys/kernel/mm/ksm/run': '1' } }, 'missing: running'],
    ['swap in clear', 'memory.no-clear-swap', { files: swap('/dev/vda2') }, 'missing: in clear: /dev/vda2'],
    [
      'swap in memory',
      'memory.no-clear-swap',
      { files: swap('/dev/zram0') },
      'present: /dev/zram0: encrypted or in memory',
    ],
    [
      'encrypted swap',
      'memory.no-clear-swap',
      { files: { ...swap('/dev/dm-0'), '/sys/class/block/dm-0/dm/uuid': 'CRYPT-PLAIN-swap' } },
      'present: /dev/dm-0: encrypted or in memory',
    ],
    ['swap in a file', 'memory.no-clear-swap', { files: swap('/swapfile') }, 'missing: in clear: /swapfile'],
    [
      'state in clear',
      'disk.encrypted-state',
      { files: mounts(root) },
      'missing: / (ext4) on a disk in clear, as far as the host shows',
    ],
    [
      'state on LVM on LUKS',
      'disk.encrypted-state',
      {
        files: {
          ...mounts(root, '21 20 253:1 / /var rw - xfs /dev/dm-1 rw'),
          '/sys/dev/block/253:1/dm/uuid': 'LVM-x',
          '/sys/dev/block/253:1/slaves/dm-0/x': '',
          '/sys/class/block/dm-0/dm/uuid': 'CRYPT-LUKS2-x',
        },
      },
      'present: /var (xfs) on dm-crypt',
    ],
    [
      'state on a mount whose name only begins alike',
      'disk.encrypted-state',
      {
        files: {
          ...mounts(root, '21 20 253:1 / /var/lib/ring rw - xfs /dev/dm-1 rw'),
          '/sys/dev/block/253:1/dm/uuid': 'CRYPT-LUKS2-x',
        },
      },
      'missing: / (ext4) on a disk in clear, as far as the host shows',
    ],
    ['no TPM', 'cpu.host-tpm', {}, 'missing: no /dev/tpmrm0'],
    [
      'a TPM beside a kernel that measures nothing',
      'cpu.host-tpm',
      { files: { '/dev/tpmrm0': '', '/sys/kernel/security/ima/runtime_measurements_count': '1' } },
      'missing: /dev/tpmrm0, but no boot log and no IMA policy, so nothing that runs is measured',
    ],
    [
      'a host that can prove itself',
      'cpu.host-tpm',
      {
        files: {
          '/dev/tpmrm0': '',
          '/sys/kernel/security/tpm0/binary_bios_measurements': '',
          '/sys/kernel/security/ima/runtime_measurements_count': '420',
        },
      },
      'present: /dev/tpmrm0, a boot log, 420 measured files',
    ],
    [
      'a TPM that root has named',
      'cpu.host-tpm',
      { files: { '/var/lib/ringwall/warden/host-tpm.json': '' } },
      'present: as /var/lib/ringwall/warden/host-tpm.json says',
    ],
    ['a component', 'component.swtpm', { packages: { swtpm: '0.7.1-1.3' } }, 'present: 0.7.1-1.3'],
    ['a component that is not there', 'component.ovmf', {}, 'missing: not installed'],
  ])('sees %s', async (_, id, host, expected) => {
    expect(await look(id, host)).toBe(expected);
  });
});

test('parsePackages() takes only what is installed', () => {
  expect([...parsePackages('installed swtpm 0.7.1\nconfig-files ovmf 1\nnot-installed qemu \n\n')]).toEqual([
    ['swtpm', '0.7.1'],
  ]);
});

test('parseMeminfo() refuses a text without the two numbers', () => {
  expect(parseMeminfo('MemTotal:       100 kB\nMemAvailable:    7 kB\n')).toEqual({ totalKiB: 100, availableKiB: 7 });
  for (const text of ['', 'MemTotal: 1 kB', 'MemTotal: x kB\nMemAvailable: y kB'])
    expect(() => parseMeminfo(text)).toThrow('/proc/meminfo');
});

test('readProcessInfo() of nobody is undefined', async () => {
  const host = fakeHost({ files: { '/proc/7/status': 'Uid:\t5\t5\t5\t5\nVmRSS:\t   12 kB\n' } });
  expect(await readProcessInfo(host, 7)).toEqual({ pid: 7, uid: 5, rssBytes: 12_288 });
  for (const pid of [8, 0, -1, 1.5]) expect(await readProcessInfo(host, pid)).toBeUndefined();
});
