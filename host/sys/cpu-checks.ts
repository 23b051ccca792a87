// Protections that the processor gives, or takes away: virtualization, speculation, memory encryption, DMA.
import type { HostCheck, Look } from './finding.ts';
import type { HostView } from './host-view.ts';

const VULNERABILITIES = '/sys/devices/system/cpu/vulnerabilities';

/** KVM is judged by a probe guest, whose outcome is passed in: the existence of /dev/kvm says nothing. */
export function kvmCheck(
  probe: { readonly accelerator: 'kvm' | 'tcg'; readonly reason: string } | undefined,
): HostCheck {
  return {
    id: 'cpu.kvm',
    title: 'hardware virtualization (KVM)',
    present: 'the processor holds a guest in; machines run at full speed',
    missing: 'machines are emulated (TCG), which is no isolation boundary: a malicious guest (A1) meets only the jail',
    hint: 'use a host with virtualization switched on in its firmware, or nested virtualization where it is a guest itself',
    look: async () =>
      probe === undefined
        ? { present: undefined, seen: 'no probe guest was started yet' }
        : { present: probe.accelerator === 'kvm', seen: probe.reason },
  };
}

export const CPU_CHECKS: readonly HostCheck[] = [
  {
    id: 'cpu.vulnerabilities',
    title: 'known processor vulnerabilities mitigated',
    present: 'the kernel knows of no open one; a guest (A1) cannot use them to read its neighbours',
    missing: 'a guest (A1) may read memory of its neighbours or of the host by the way named here',
    hint: 'install the processor’s microcode package and the newest kernel, and remove mitigations=off from its command line',
    look: lookAtVulnerabilities,
  },
  {
    id: 'cpu.smt',
    title: 'no sibling threads (SMT off)',
    present: 'two guests never share a core at the same moment',
    missing: 'guests (A1) that share a core can watch each other through its caches and buffers',
    hint: 'boot with nosmt, or write off to /sys/devices/system/cpu/smt/control',
    look: async (host) => {
      const active = await host.text('/sys/devices/system/cpu/smt/active');
      return {
        present: active === undefined ? undefined : active === '0',
        seen: active === '1' ? 'active' : active === '0' ? 'not active' : 'not told',
      };
    },
  },
  {
    id: 'cpu.microcode',
    title: 'microcode package installed',
    present: 'processor errata are corrected at boot',
    missing: 'the processor runs with what its firmware brought; a guest of a hypervisor cannot change it',
    hint: 'apt-get install intel-microcode or amd64-microcode (Debian’s non-free-firmware)',
    look: async (host) => {
      const [[name, version] = []] = await host.packages(['intel-microcode', 'amd64-microcode']);
      const info = (await host.text('/proc/cpuinfo')) ?? '';
      const running = /^microcode\s*:\s*(\S+)/m.exec(info)?.[1] ?? 'unknown';
      return {
        present: name !== undefined,
        seen: `${name === undefined ? 'none' : `${name} ${version}`}, running ${running}`,
      };
    },
  },
  {
    id: 'cpu.memory-encryption',
    title: 'encrypted guest memory (SEV-SNP or TDX)',
    present: 'guest memory can be hidden from the host itself (A6); Ringwall does not use it yet',
    missing: 'root on this host (A6) can read the memory of every guest',
    hint: 'use a host with AMD SEV-SNP or Intel TDX, switched on in firmware and kernel',
    look: async (host) => {
      const snp = /^[Y1]$/.test((await host.text('/sys/module/kvm_amd/parameters/sev_snp')) ?? '');
      const tdx = /^[Y1]$/.test((await host.text('/sys/module/kvm_intel/parameters/tdx')) ?? '');
      return { present: snp || tdx, seen: snp ? 'SEV-SNP' : tdx ? 'TDX' : 'neither in the kernel’s KVM' };
    },
  },
  {
    id: 'cpu.iommu',
    title: 'IOMMU',
    present: 'a device can be held to the memory that it is given',
    missing: 'a device given to a guest could reach all memory; Ringwall gives none to guests on this host',
    hint: 'switch on VT-d or AMD-Vi in firmware, and boot with intel_iommu=on where needed',
    look: async (host) => {
      const groups = (await host.names('/sys/kernel/iommu_groups')).length;
      return { present: groups > 0, seen: `${groups} groups` };
    },
  },
];

async function lookAtVulnerabilities(host: HostView): Promise<Look> {
  const names = await host.names(VULNERABILITIES);
  if (names.length === 0) return { present: undefined, seen: `no ${VULNERABILITIES}` };
  const states = await Promise.all(
    names.map(async (name) => ({ name, text: (await host.text(`${VULNERABILITIES}/${name}`)) ?? 'unknown' })),
  );
  // `Vulnerable` may stand at the front, or at one part: "Mitigation: …; SMT vulnerable" is a matter of SMT alone.
  const open = states.filter(({ text }) => /^(?:KVM: )?Vulnerable/i.test(text));
  const seen =
    open.length === 0
      ? `${states.length} known, none open`
      : open.map(({ name, text }) => `${name}: ${text}`).join('; ');
  return { present: open.length === 0, seen };
}
