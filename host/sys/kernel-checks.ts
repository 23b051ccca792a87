// Protections that the host's kernel gives: filters, namespaces, control groups, access control, lockdown.
import { CGROUP_CONTROLLERS, parseCgroupLayout } from '../jail/cgroup.ts';
import type { HostCheck } from './finding.ts';

export const KERNEL_CHECKS: readonly HostCheck[] = [
  {
    id: 'kernel.seccomp',
    title: 'seccomp filters',
    present: 'a VMM that was broken into (A2) reaches few of the kernel’s system calls',
    missing: 'machines cannot be started: their jail needs it',
    hint: 'use a kernel with CONFIG_SECCOMP_FILTER, as Debian’s are',
    look: async (host) => {
      const actions = await host.text('/proc/sys/kernel/seccomp/actions_avail');
      return { present: actions?.includes('kill_process') === true, seen: actions ?? 'not there' };
    },
  },
  {
    id: 'kernel.user-namespaces',
    title: 'user namespaces',
    present: 'the jail of a VMM or TPM is built without root',
    missing: 'machines cannot be started: their jail needs it',
    hint: 'sysctl user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0, as far as they exist',
    look: async (host) => {
      const limit = Number((await host.text('/proc/sys/user/max_user_namespaces')) ?? '0');
      const clone = await host.text('/proc/sys/kernel/unprivileged_userns_clone');
      const restricted = await host.text('/proc/sys/kernel/apparmor_restrict_unprivileged_userns');
      const words = [`up to ${limit}`];
      if (clone === '0') words.push('forbidden to all but root');
      if (restricted === '1') words.push('restricted by AppArmor');
      return { present: limit > 0 && clone !== '0' && restricted !== '1', seen: words.join(', ') };
    },
  },
  {
    id: 'kernel.cgroups',
    title: 'control groups for memory, tasks and processor time',
    present: 'no guest (A1) can take more of the host than it was given',
    missing: 'a guest (A1) or a VMM that was broken into (A2) can take what the controller named here would limit',
    hint: 'boot with systemd.unified_cgroup_hierarchy=1, or mount the v1 controllers',
    look: async (host) => {
      const mountinfo = (await host.text('/proc/self/mountinfo')) ?? '';
      const unified = mountinfo
        .split('\n')
        .find((line) => line.includes(' - cgroup2 '))
        ?.split(' ')[4];
      const list = unified === undefined ? undefined : await host.text(`${unified}/cgroup.controllers`);
      const { controllers } = parseCgroupLayout(mountinfo, list ?? '');
      const words = CGROUP_CONTROLLERS.map(
        (name) => `${name} ${controllers[name] === undefined ? 'missing' : `v${controllers[name].version}`}`,
      );
      return { present: CGROUP_CONTROLLERS.every((name) => controllers[name] !== undefined), seen: words.join(', ') };
    },
  },
  {
    id: 'kernel.landlock',
    title: 'Landlock',
    present: 'a program can give up file access for good; Ringwall does not need it, since each jail has its own root',
    missing: 'one line of defence less that programs could use by themselves',
    hint: 'boot with lsm=landlock,… and a kernel of 5.13 or later',
    look: async (host) => {
      const lsm = await host.text('/sys/kernel/security/lsm');
      if (lsm === undefined) return { present: undefined, seen: 'securityfs is not mounted' };
      return { present: lsm.split(',').includes('landlock'), seen: lsm };
    },
  },
  {
    id: 'kernel.mandatory-access',
    title: 'AppArmor or SELinux',
    present: 'the host’s own services are held to what they need',
    missing: 'a service of the host that is broken into can do all that its user may; jails do not depend on it',
    hint: 'apt-get install apparmor, and boot with apparmor=1 security=apparmor',
    look: async (host) => {
      const lsm = (await host.text('/sys/kernel/security/lsm')) ?? '';
      const apparmor = (await host.text('/sys/module/apparmor/parameters/enabled')) === 'Y';
      const selinux = (await host.text('/sys/fs/selinux/enforce')) === '1';
      const names = [
        ...(apparmor || lsm.includes('apparmor') ? ['AppArmor'] : []),
        ...(selinux ? ['SELinux, enforcing'] : []),
      ];
      return { present: names.length > 0, seen: names.join(', ') || 'neither' };
    },
  },
  {
    id: 'kernel.lockdown',
    title: 'kernel lockdown',
    present: 'not even root can change the running kernel',
    missing: 'root on this host (A6) can change the running kernel, and with it all that it promises',
    hint: 'boot with lockdown=integrity, best under Secure Boot',
    look: async (host) => {
      const lockdown = await host.text('/sys/kernel/security/lockdown');
      if (lockdown === undefined) return { present: false, seen: 'not in this kernel, or securityfs is not mounted' };
      const mode = /\[(\w+)\]/.exec(lockdown)?.[1] ?? 'none';
      return { present: mode !== 'none', seen: mode };
    },
  },
  {
    id: 'kernel.core-pattern',
    title: 'core dumps go nowhere',
    present: 'no program of the host leaves its memory on a disk',
    missing:
      'VMMs and TPMs never dump core (their limit forbids it), but the broker’s or another program’s memory could land on a disk (A4)',
    hint: 'sysctl kernel.core_pattern=|/bin/false',
    look: async (host) => {
      const pattern = await host.text('/proc/sys/kernel/core_pattern');
      const nowhere = pattern === '' || pattern === '|/bin/false' || pattern === '/dev/null';
      return {
        present: pattern === undefined ? undefined : nowhere,
        seen: pattern === '' ? 'none' : (pattern ?? 'not told'),
      };
    },
  },
  {
    id: 'kernel.yama',
    title: 'programs cannot trace one another',
    present: 'one program of a user cannot read another’s memory',
    missing: 'programs of one user can read each other’s memory; each VMM and TPM has a user of its own',
    hint: 'sysctl kernel.yama.ptrace_scope=1',
    look: async (host) => {
      const scope = await host.text('/proc/sys/kernel/yama/ptrace_scope');
      return {
        present: scope !== undefined && scope !== '0',
        seen: scope === undefined ? 'no Yama in this kernel' : `scope ${scope}`,
      };
    },
  },
];
