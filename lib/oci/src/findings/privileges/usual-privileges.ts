// Programs that distributions ship with privileges, with the reason of each: what is not listed was added by whoever made the
// image. By name and place, for a program of the same name elsewhere is another.

const PLACES = /^(?:usr\/)?(?:local\/)?s?bin\/|^(?:usr\/)?lib(?:exec|32|64)?\//;

/** Set-uid or set-gid, as Debian, Alpine, Red Hat and SUSE ship them. */
const SET_ID: ReadonlyMap<string, string> = new Map([
  ['su', 'becomes another account by its password'],
  ['sudo', 'runs commands as its rules say'],
  ['sudoedit', 'sudo by another name'],
  ['doas', 'runs commands as its rules say'],
  ['passwd', 'writes /etc/shadow for who changes their own password'],
  ['chsh', 'writes /etc/passwd for who changes their shell'],
  ['chfn', 'writes /etc/passwd for who changes their name'],
  ['gpasswd', 'writes /etc/gshadow'],
  ['newgrp', 'takes on another group'],
  ['sg', 'newgrp by another name'],
  ['chage', 'reads /etc/shadow for who asks when their password ends'],
  ['expiry', 'reads /etc/shadow'],
  ['unix_chkpwd', 'checks a password for a process that may not read /etc/shadow'],
  ['pam_timestamp_check', 'keeps when sudo was last permitted'],
  ['unix_chkpwd_pam', 'the same'],
  ['mount', 'mounts what /etc/fstab lets users mount'],
  ['umount', 'unmounts it'],
  ['mount.nfs', 'mounts what /etc/fstab lets users mount'],
  ['mount.cifs', 'mounts what /etc/fstab lets users mount'],
  ['fusermount', 'mounts file systems of users'],
  ['fusermount3', 'mounts file systems of users'],
  ['ping', 'opens raw sockets on old kernels'],
  ['ping6', 'opens raw sockets on old kernels'],
  ['traceroute6.iputils', 'opens raw sockets'],
  ['wall', 'writes to terminals'],
  ['write', 'writes to terminals'],
  ['write.ul', 'writes to terminals'],
  ['bsd-write', 'writes to terminals'],
  ['crontab', 'writes the table of an account'],
  ['at', 'writes jobs of an account'],
  ['dotlockfile', 'locks mailboxes'],
  ['mail-lock', 'locks mailboxes'],
  ['mail-unlock', 'locks mailboxes'],
  ['mail-touchlock', 'locks mailboxes'],
  ['mlock', 'locks mailboxes'],
  ['postdrop', 'puts mail into the queue'],
  ['postqueue', 'reads the queue of mail'],
  ['exim4', 'puts mail into the queue'],
  ['sendmail', 'puts mail into the queue'],
  ['ssh-agent', 'keeps others from tracing it'],
  ['ssh-keysign', 'signs with the host’s key for host-based logins'],
  ['pkexec', 'runs commands as polkit’s rules say'],
  ['polkit-agent-helper-1', 'checks passwords for polkit'],
  ['dbus-daemon-launch-helper', 'starts services of the system bus'],
  ['newuidmap', 'gives user namespaces the ids of /etc/subuid'],
  ['newgidmap', 'gives user namespaces the ids of /etc/subgid'],
  ['utempter', 'writes who is logged in'],
  ['locate', 'reads the database of names'],
  ['mlocate', 'reads the database of names'],
  ['plocate', 'reads the database of names'],
  ['bbsuid', 'the few programs of busybox that need it'],
  ['chrome-sandbox', 'builds the browser’s sandbox'],
  ['Xorg.wrap', 'opens the graphics card'],
  ['userhelper', 'runs what its rules let users run'],
  ['lockspool', 'locks mailboxes'],
  ['staprun', 'loads modules for a group of its own'],
  ['usernetctl', 'starts network interfaces for users'],
  ['vmware-user-suid-wrapper', 'opens a device of the hypervisor'],
]);

/** With file capabilities, as distributions ship them; each with the most that it is given. */
const CAPABLE: ReadonlyMap<string, readonly string[]> = new Map([
  ['ping', ['CAP_NET_RAW', 'CAP_NET_ADMIN']],
  ['arping', ['CAP_NET_RAW']],
  ['clockdiff', ['CAP_NET_RAW']],
  ['mtr-packet', ['CAP_NET_RAW']],
  ['traceroute6.iputils', ['CAP_NET_RAW']],
  ['newuidmap', ['CAP_SETUID']],
  ['newgidmap', ['CAP_SETGID']],
  ['dumpcap', ['CAP_NET_RAW', 'CAP_NET_ADMIN']],
  ['gst-ptp-helper', ['CAP_NET_BIND_SERVICE', 'CAP_NET_ADMIN', 'CAP_SYS_NICE']],
  ['rpc.rquotad', []],
  ['slirp4netns', []],
]);

export function isUsualSetId(path: string): boolean {
  return PLACES.test(path) && SET_ID.has(nameOf(path));
}

export function isUsualCapable(path: string, capabilities: readonly string[]): boolean {
  const usual = CAPABLE.get(nameOf(path));
  return PLACES.test(path) && usual !== undefined && capabilities.every((each) => usual.includes(each));
}

/** They run what they are told: with a set-uid bit, or a capability over files or users, any command as root (GTFOBins). */
const RUNS_ANYTHING =
  /^(?:(?:ba|da|z|k|a|c|tc|fi)?sh|busybox|toybox|env|find|awk|gawk|mawk|sed|tar|cp|mv|dd|chmod|chown|cat|tee|install|ln|vim?|vim\.\w+|nano|emacs|less|more|ed|perl[\d.]*|python[\d.]*|ruby[\d.]*|node|php[\d.]*|lua[\d.]*|tclsh|gdb|strace|nmap|docker|runc|ctr|kubectl|systemctl|rsync|scp|curl|wget|git|make|xargs|timeout|nice|nohup|setpriv|unshare|nsenter|capsh|start-stop-daemon|time|taskset|watch|screen|tmux|socat|nc|openssl|base64|xxd|od|head|tail|cut|sort|zip|unzip|mysql|psql|sqlite3|gcc|ld\.so|ld-linux[\w.-]*)$/;

export function runsAnything(path: string): boolean {
  return RUNS_ANYTHING.test(nameOf(path));
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
