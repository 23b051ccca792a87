// Hands batches to the kernel inside a namespace, each in one piece, and waits for its answer; and asks it which change of the rules was the
// last, and who made those that were heard of. Node has no netlink sockets; perl-base, which is essential in Debian, has. The process is
// started for a batch and stays a second for the next, or for as long as it is held: to start it costs more than ten thousand elements do.
import { PassThrough } from 'node:stream';
import { RingwallError } from '@ringwall/api/errors';
import type { NamespaceRun } from '../namespace.ts';
import type { NetlinkBatch } from './encode.ts';

const PERL = '/usr/bin/perl';
/** Machines that come one after the other find it running. */
const IDLE_MS = 1_000;
/** 65,536 machines take half a second; more is a kernel that hangs. */
const ANSWER_TIMEOUT_MS = 60_000;
/** What setTimeout() can wait for: each answer has a time of its own. */
const NO_TIMEOUT_MS: number = 2 ** 31 - 1;

/** In the place of a length. */
const LISTEN = 0xffff_ffff;
const NOTHING = new Uint8Array();

/**
 * Fixed text. It reads a batch behind its length (32 bits, big endian), sends it, and says in a line what became of it: `done GENERATION`,
 * `refused MESSAGE WHY`, or `unknown` where the kernel gave no answer. For a batch of no bytes it says what stands: `standing GENERATION
 * TABLES`, and the last commits of others that it has heard of since it was asked last, each as `GENERATION:PID:NAME`, the name in
 * hexadecimal. Whose a commit is, the kernel says only to those who listen while it is made, which it does from the length LISTEN on: then the
 * kernel writes down each element that changes, and takes twice as long. A filter lets nothing of that through, so that no flood drowns a
 * commit. linux/netlink.h, linux/filter.h, linux/netfilter/nf_tables.h, asm-generic/socket.h.
 */
const SEND = `
use strict;
use warnings;
use Socket qw(SOCK_RAW SOL_SOCKET MSG_DONTWAIT);
my ($AF_NETLINK, $NETLINK_NETFILTER, $SOL_NETLINK) = (16, 12, 270);
my ($NETLINK_ADD_MEMBERSHIP, $NETLINK_CAP_ACK, $NFNLGRP_NFTABLES) = (1, 10, 7);
my ($SO_SNDBUFFORCE, $SO_ATTACH_FILTER, $NLMSG_ERROR, $HEADER, $LARGEST) = (32, 26, 2, 16, 1 << 28);
my ($NEWTABLE, $GETTABLE, $NEWGEN, $GETGEN, $REQUEST, $DUMP) = (0xa00, 0xa01, 0xa0f, 0xa10, 0x1, 0x300);
my ($GEN_ID, $GEN_PROC_PID, $GEN_PROC_NAME, $HEARD, $LISTEN) = (1, 2, 3, 8, ${LISTEN});
my $KERNEL = pack('S S L L', $AF_NETLINK, 0, 0, 0);
$| = 1;
sub take {
  my ($bytes, $taken) = ($_[0], '');
  while (length $taken < $bytes) { sysread(STDIN, $taken, $bytes - length $taken, length $taken) or exit 0 }
  return $taken;
}
sub opened {
  socket(my $socket, $AF_NETLINK, SOCK_RAW, $NETLINK_NETFILTER) or die "no netlink: $!";
  return $socket;
}
sub messages {
  my ($socket, @messages) = @_;
  while (defined recv($socket, my $bytes, 65536, MSG_DONTWAIT)) {
    while (length $bytes >= $HEADER + 4) {
      my ($size, $type, undef, $number) = unpack('L S S L', $bytes);
      last if $size < $HEADER + 4;
      push @messages, [$type, $number, substr($bytes, $HEADER, $size - $HEADER)];
      substr($bytes, 0, ($size + 3) & ~3, '');
    }
  }
  return @messages;
}
sub attributes {
  my ($rest, %found) = (substr($_[0], 4));
  while (length $rest >= 4) {
    my ($size, $type) = unpack('S S', $rest);
    last if $size < 4;
    $found{$type} = substr($rest, 4, $size - 4);
    substr($rest, 0, ($size + 3) & ~3, '');
  }
  return %found;
}
my ($kernel, $changes) = (opened(), opened());
setsockopt($kernel, SOL_SOCKET, $SO_SNDBUFFORCE, pack('i', $LARGEST)) or die "no room to send: $!";
setsockopt($kernel, $SOL_NETLINK, $NETLINK_CAP_ACK, pack('i', 1)) or die "no short answers: $!";
# Loads the type of a message as if its bytes were in the order of the network.
my @filter = ([0x28, 0, 0, 4], [0x15, 0, 1, unpack('n', pack('S', $NEWGEN))], [0x06, 0, 0, 0xffff], [0x06, 0, 0, 0]);
my $program = join('', map { pack('S C C L', @$_) } @filter);
# One without a number of its own is passed over.
bind($changes, $KERNEL) or die "no number: $!";
setsockopt($changes, SOL_SOCKET, $SO_ATTACH_FILTER, pack('S x![P] P', scalar @filter, $program)) or die "no filter: $!";
sub begin_to_listen {
  setsockopt($changes, $SOL_NETLINK, $NETLINK_ADD_MEMBERSHIP, pack('i', $NFNLGRP_NFTABLES)) or die "not heard of: $!";
}
sub asked {
  my ($type, $flags) = @_;
  send($kernel, pack('L S S L L C C S', $HEADER + 4, $type, $REQUEST | $flags, 0, 0, 0, 0, 0), 0, $KERNEL);
  return messages($kernel);
}
# The generation, and as which process the kernel knows this one.
sub generation {
  for (asked($GETGEN, 0)) {
    next if $_->[0] != $NEWGEN;
    my %of = attributes($_->[2]);
    return (unpack('N', $of{$GEN_ID}), unpack('N', $of{$GEN_PROC_PID}));
  }
  return;
}
my @heard;
sub listen_on {
  my ($own) = @_;
  my @new;
  do { push @new, messages($changes) } while $!{ENOBUFS};
  for (@new) {
    my %of = attributes($_->[2]);
    my ($generation, $pid, $name) = map { $of{$_} // '' } ($GEN_ID, $GEN_PROC_PID, $GEN_PROC_NAME);
    next if length $generation != 4 || length $pid != 4 || unpack('N', $pid) == $own;
    push @heard, join(':', unpack('N', $generation), unpack('N', $pid), unpack('H*', $name =~ s/\\0.*//sr));
    shift @heard if @heard > $HEARD;
  }
}
sub standing {
  my ($generation, $own) = generation();
  return 'unknown' if !defined $generation;
  my $tables = grep { $_->[0] == $NEWTABLE } asked($GETTABLE, $DUMP);
  listen_on($own);
  return join(' ', 'standing', $generation, $tables, splice(@heard));
}
sub hand_over {
  my ($batch) = @_;
  send($kernel, $batch, 0, $KERNEL) // return "refused 0 $!";
  my ($done, $refused);
  # The kernel has worked it off before send returns: its answers are here.
  for (messages($kernel)) {
    my ($type, $number, $body) = @$_;
    next if $type != $NLMSG_ERROR;
    my $status = unpack('l', $body);
    if ($status == 0) { $done = 1 } else { $! = -$status; $refused //= "refused $number $!" }
  }
  return $refused if defined $refused;
  my ($generation, $own) = $done ? generation() : ();
  listen_on($own) if defined $own;
  return defined $generation ? "done $generation" : 'unknown';
}
while (1) {
  my $length = unpack('N', take(4));
  begin_to_listen() if $length == $LISTEN;
  my $batch = take($length == $LISTEN ? 0 : $length);
  # Refusals of a batch before, of which there were more than there was room for.
  1 while defined recv($kernel, my $late, 65536, MSG_DONTWAIT) || $!{ENOBUFS};
  print $batch eq '' ? standing() : hand_over($batch), "\\n";
}
`;

/** What stands in a namespace. Each commit that changes anything has the number behind that of the one before; nothing else changes it. */
export interface Standing {
  readonly generation: number;
  /** How many tables there are. */
  readonly tables: number;
  /** The last that were heard of and that this process has not made: of nft, ours too. */
  readonly commits: readonly Commit[];
}

export interface Commit {
  readonly generation: number;
  readonly pid: number;
  /** Whoever runs it chose the name. */
  readonly program: string;
}

/** The process that sends, while there is one. */
interface Running {
  readonly input: PassThrough;
  readonly stop: AbortController;
  /** Takes the next line that it says; undefined when it has ended. */
  hear: (line: string | undefined) => void;
  ended: Promise<void>;
}

export class NetlinkSender {
  readonly #inside: NamespaceRun;
  #running: Running | undefined;
  #idle: NodeJS.Timeout | undefined;
  /** By how many: then it stays, and hears of all that changes. */
  #holders = 0;
  #asked = false;

  constructor(inside: NamespaceRun) {
    this.#inside = inside;
  }

  /** Keeps the process until it is disposed of, and has it listen; one that ends all the same is started again when it is asked. */
  hold(): Disposable {
    this.#holders += 1;
    return {
      [Symbol.dispose]: () => {
        this.#holders -= 1;
        if (this.#holders === 0) void this.end();
      },
    };
  }

  /** At once, where nobody waits for an answer: a process keeps its namespace there, with all that is in it. */
  async end(): Promise<void> {
    const running = this.#running;
    if (running === undefined || this.#asked) return;
    this.#end(running);
    await running.ended;
  }

  /** What stands now. Throws where nobody can say it. */
  async look(): Promise<Standing> {
    const said = await this.#ask(NOTHING, this.#holders > 0 ? LISTEN : 0);
    const [, generation, tables, commits = ''] =
      /^standing (\d+) (\d+)((?: \d+:\d+:[\da-f]*)*)$/.exec(said ?? '') ?? [];
    if (generation === undefined) {
      throw new RingwallError('internal', 'the kernel does not say which rules stand', {
        hint: `${PERL} has to run, and nf_tables to be there`,
      });
    }
    return {
      generation: Number(generation),
      tables: Number(tables),
      commits: Array.from(commits.matchAll(/(\d+):(\d+):([\da-f]*)/g), ([, number, pid, name = '']) => {
        return { generation: Number(number), pid: Number(pid), program: Buffer.from(name, 'hex').toString('latin1') };
      }),
    };
  }

  /**
   * Applies the batch, one at a time, and answers the generation that came of it. Answers 'unknown' where nobody can say whether it is in
   * force: whoever sent it has to put all of it in force anew. Throws where the kernel refuses it; then nothing has changed.
   */
  async send({ bytes, subjects }: NetlinkBatch): Promise<number | 'unknown'> {
    const said = await this.#ask(bytes);
    const [, generation] = /^done (\d+)$/.exec(said ?? '') ?? [];
    if (generation !== undefined) return Number(generation);
    const [, message, why] = /^refused (\d+) (.*)$/.exec(said ?? '') ?? [];
    if (message === undefined) return 'unknown';
    throw new RingwallError(
      'internal',
      `the kernel refuses to ${subjects[Number(message)] ?? 'take the batch'}: ${why}`,
      {
        hint: 'the rules that stood before are still in force',
      },
    );
  }

  async #ask(bytes: Uint8Array, length: number = bytes.length): Promise<string | undefined> {
    clearTimeout(this.#idle);
    const running = (this.#running ??= this.#start());
    this.#asked = true;
    const said = await new Promise<string | undefined>((resolve) => {
      const late = setTimeout(() => running.stop.abort(), ANSWER_TIMEOUT_MS);
      running.hear = (line) => {
        clearTimeout(late);
        resolve(line);
      };
      const header = Buffer.alloc(4);
      header.writeUInt32BE(length);
      running.input.write(header);
      if (bytes.length > 0) running.input.write(bytes);
    });
    this.#asked = false;
    this.#endWhenIdle(running);
    return said;
  }

  #start(): Running {
    const running: Running = {
      ...{ input: new PassThrough(), stop: new AbortController(), hear: () => undefined },
      ended: Promise.resolve(),
    };
    let line = '';
    const ended = this.#inside([PERL, '-e', SEND], {
      inputStream: running.input,
      signal: running.stop.signal,
      timeoutMs: NO_TIMEOUT_MS,
      maxOutputBytes: Number.MAX_SAFE_INTEGER,
      onOutput: (chunk) => {
        line += Buffer.from(chunk).toString();
        if (!line.endsWith('\n')) return;
        running.hear(line.trim());
        line = '';
      },
    });
    const gone = (): void => {
      this.#end(running);
      running.hear(undefined);
    };
    running.ended = ended.then(gone, gone);
    return running;
  }

  #endWhenIdle(running: Running): void {
    clearTimeout(this.#idle);
    if (this.#holders === 0) this.#idle = setTimeout(() => this.#end(running), IDLE_MS);
  }

  /** It ends with its input. */
  #end(running: Running): void {
    running.input.end();
    if (this.#running !== running) return;
    clearTimeout(this.#idle);
    this.#running = undefined;
  }
}
