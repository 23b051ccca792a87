// Hands batches to the kernel inside a namespace, each in one piece, and waits for its answer. Node has no netlink sockets; perl-base,
// which is essential in Debian, has. The process is started for a batch and stays a second for the next: to start it costs more than
// ten thousand elements do.
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

/**
 * Fixed text. It reads a batch behind its length (32 bits, big endian), sends it, and says in a line what became of it: `done`,
 * `refused MESSAGE WHY`, or `unknown WHY` where the kernel gave no answer. linux/netlink.h, asm-generic/socket.h.
 */
const SEND = `
use strict;
use warnings;
use Socket qw(SOCK_RAW SOL_SOCKET MSG_DONTWAIT);
my ($AF_NETLINK, $NETLINK_NETFILTER, $SOL_NETLINK, $NETLINK_CAP_ACK) = (16, 12, 270, 10);
my ($SO_SNDBUFFORCE, $NLMSG_ERROR, $HEADER, $LARGEST) = (32, 2, 16, 1 << 28);
$| = 1;
sub take {
  my ($bytes, $taken) = ($_[0], '');
  while (length $taken < $bytes) { sysread(STDIN, $taken, $bytes - length $taken, length $taken) or exit 0 }
  return $taken;
}
sub hand_over {
  my ($kernel, $batch) = @_;
  # Refusals of a batch before, of which there were more than there was room for.
  1 while defined recv($kernel, my $late, 65536, MSG_DONTWAIT) || $!{ENOBUFS};
  send($kernel, $batch, 0, pack('S S L L', $AF_NETLINK, 0, 0, 0)) // return "refused 0 $!";
  my ($done, $refused);
  # The kernel has worked it off before send returns: its answers are here.
  while (defined recv($kernel, my $answers, 65536, MSG_DONTWAIT)) {
    while (length $answers >= $HEADER + 4) {
      my ($size, $type, undef, $message, undef, $status) = unpack('L S S L L l', $answers);
      if ($type == $NLMSG_ERROR && $status == 0) { $done = 1 }
      elsif ($type == $NLMSG_ERROR) { $! = -$status; $refused //= "refused $message $!" }
      last if $size < $HEADER;
      substr($answers, 0, ($size + 3) & ~3, '');
    }
  }
  return $refused // ($done ? 'done' : "unknown $!");
}
socket(my $kernel, $AF_NETLINK, SOCK_RAW, $NETLINK_NETFILTER) or die "no netlink: $!";
setsockopt($kernel, SOL_SOCKET, $SO_SNDBUFFORCE, pack('i', $LARGEST)) or die "no room to send: $!";
setsockopt($kernel, $SOL_NETLINK, $NETLINK_CAP_ACK, pack('i', 1)) or die "no short answers: $!";
while (1) { print hand_over($kernel, take(unpack('N', take(4)))), "\\n" }
`;

/** The process that sends, while there is one. */
interface Running {
  readonly input: PassThrough;
  readonly stop: AbortController;
  /** Takes the next line that it says; undefined when it has ended. */
  hear: (line: string | undefined) => void;
}

export class NetlinkSender {
  readonly #inside: NamespaceRun;
  #running: Running | undefined;
  #idle: NodeJS.Timeout | undefined;

  constructor(inside: NamespaceRun) {
    this.#inside = inside;
  }

  /** Starts the process, for a batch that is still being put together. */
  prepare(): void {
    const running = (this.#running ??= this.#start());
    this.#endWhenIdle(running);
  }

  /**
   * Applies the batch, one at a time. Answers 'unknown' where nobody can say whether it is in force: whoever sent it has to put all of it
   * in force anew. Throws where the kernel refuses it; then nothing has changed.
   */
  async send({ bytes, subjects }: NetlinkBatch): Promise<'done' | 'unknown'> {
    clearTimeout(this.#idle);
    const running = (this.#running ??= this.#start());
    const said = await new Promise<string | undefined>((resolve) => {
      const late = setTimeout(() => running.stop.abort(), ANSWER_TIMEOUT_MS);
      running.hear = (line) => {
        clearTimeout(late);
        resolve(line);
      };
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      running.input.write(length);
      running.input.write(bytes);
    });
    this.#endWhenIdle(running);
    if (said === 'done') return 'done';
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

  #start(): Running {
    const running: Running = { input: new PassThrough(), stop: new AbortController(), hear: () => undefined };
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
    ended.then(gone, gone);
    return running;
  }

  /** Also where the batch that it was started for never comes. */
  #endWhenIdle(running: Running): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#end(running), IDLE_MS);
  }

  /** It ends with its input. */
  #end(running: Running): void {
    running.input.end();
    if (this.#running === running) this.#running = undefined;
  }
}
