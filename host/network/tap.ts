// A machine's end of its cable: a tap, made by a launcher in the network's namespace, or in one where nothing else is, and handed by
// descriptor to the program that the launcher becomes. Linux, Documentation/networking/tuntap.rst; include/uapi/linux/if_tun.h.
//
// Node has no ioctl(2); perl-base, which is essential in Debian, has. The tap is gone with the last process that holds it, so that
// nothing of a machine that stopped or was killed is left behind.
import { RingwallError } from '@ringwall/api/errors';

const PERL = '/usr/bin/perl';
/** IFNAMSIZ of Linux less its final zero. */
const MAX_NAME_CHARACTERS = 15;
const MACHINE = /^mch_([a-z2-7]{20})$/;

/**
 * Fixed text; what differs comes as arguments: the file that pins the namespace (empty where it is to be one of the tap's own, which
 * goes with it), the tap's name, the descriptor's number.
 */
const OPEN_TAP = `
use strict;
use warnings;
use Fcntl;
use POSIX ();
my ($file, $name, $number, @program) = @ARGV;
my ($SETNS, $UNSHARE, $CLONE_NEWNET, $TUNSETIFF) = (308, 272, 0x40000000, 0x400454ca);
my ($IFF_TAP, $IFF_NO_PI, $IFF_VNET_HDR, $IFF_TUN_EXCL) = (0x0002, 0x1000, 0x4000, 0x8000);
sub give_up { print STDERR 'tap: ', @_, "\\n"; exit 1 }
sub enter { syscall($SETNS, fileno($_[0]), $CLONE_NEWNET) == 0 or give_up("the namespace cannot be entered: $!") }
open(my $own, '<', '/proc/self/ns/net') or give_up("/proc is not there: $!");
if ($file eq '') {
  syscall($UNSHARE, $CLONE_NEWNET) == 0 or give_up("no namespace can be made: $!");
} else {
  open(my $network, '<', $file) or give_up("the network $file is not there: $!");
  enter($network);
}
sysopen(my $tap, '/dev/net/tun', O_RDWR) or give_up("/dev/net/tun: $!, which modprobe tun may help");
my $request = pack('a16 S x22', $name, $IFF_TAP | $IFF_NO_PI | $IFF_VNET_HDR | $IFF_TUN_EXCL);
ioctl($tap, $TUNSETIFF, $request)
  or give_up($!{EBUSY} || $!{EINVAL} ? "the interface name $name is taken in this network" : "$name: $!");
enter($own);
POSIX::dup2(fileno($tap), $number) or give_up("descriptor $number: $!");
# What Perl has opened is closed at exec: so would this one be, had it had its number from the beginning.
open(my $given, '+<&=', $number) or give_up("descriptor $number: $!");
fcntl($given, F_SETFD, 0) or give_up("descriptor $number: $!");
exec { $program[0] } @program or give_up("$program[0]: $!");
`;

/** The name of a machine's tap: of its id as many characters as Linux has room for, 70 bits. */
export function tapName(machine: string): string {
  const random = MACHINE.exec(machine)?.[1];
  if (random === undefined) throw new RingwallError('internal', `${JSON.stringify(machine)} is not a machine id`);
  return `m${random.slice(0, MAX_NAME_CHARACTERS - 1)}`;
}

/**
 * Pure: what stands before a command, so that it finds the tap `name` of the namespace pinned by `file` as descriptor `fd`. Without a
 * file it leads nowhere.
 */
export function tapLauncher(tap: { readonly file?: string; readonly name: string }, fd: number): string[] {
  if (!/^[a-z][a-z0-9]*$/.test(tap.name)) {
    throw new RingwallError('internal', `${JSON.stringify(tap.name)} is no name of an interface`);
  }
  if (tap.name.length > MAX_NAME_CHARACTERS) {
    throw new RingwallError('internal', `${tap.name} has more than ${MAX_NAME_CHARACTERS} characters`);
  }
  return [PERL, '-e', OPEN_TAP, '--', tap.file ?? '', tap.name, String(fd)];
}
