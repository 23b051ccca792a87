// Packages of a kernel. A container runs its host's kernel: neither the headers that a compiler needs (linux-libc-dev) nor a
// kernel image that lies in the file system is what runs, and thousands of CVEs would be told of it in vain. In an image of a
// virtual machine it is otherwise.
import type { PackageFact } from '../packages/package-fact.ts';

/** Debian, Ubuntu (`linux-aws-5.15`), Alpine, RPM-based; by source package, which says it best. */
const SOURCES: Readonly<Record<string, RegExp>> = {
  deb: /^linux(?:-\d[\d.]*|-(?:aws|azure|gcp|gke|hwe|kvm|lowlatency|oem|oracle|raspi|signed|latest)\S*|-signed-\S+|-meta\S*)?$/,
  apk: /^linux-(?:lts|virt|edge|rpi|stable|headers|openpax)$/,
  rpm: /^kernel(?:-rt|-64k|-default|-source|-headers|-uek|-azure)?$/,
};
/** User space that is built from the kernel's sources, and runs. */
const PROGRAMS =
  /^(?:bpftool|cpupower|kernel-tools(?:-libs)?|libcpupower\d*|linux-cpupower|linux-perf\S*|perf|python3?-perf|rtla|usbip|hyperv-daemons)$/;

export function isKernelPackage({ type, name, source }: PackageFact): boolean {
  return SOURCES[type]?.test(source) === true && !PROGRAMS.test(name);
}
