// Builds the command line of swtpm(8), version 0.7.1 on. Paths are those inside its jail; the key of its state comes
// by a descriptor.

export const SWTPM = '/usr/bin/swtpm';
/** Where the jail shows the state directory. */
export const STATE_TARGET = '/state';

export interface SwtpmArguments {
  /** The descriptor of the state's key. */
  readonly keyFd: number;
  /**
   * `control`: QEMU's end, which sends INIT itself. `commands`: raw TPM commands, for the TPM's manufacture. `witness`: commands, and a
   * control channel beside them, by which the TPM's state leaves it and comes back.
   */
  readonly channel: { readonly kind: 'control' | 'commands'; readonly fd: number } | WitnessChannel;
}

export interface WitnessChannel {
  readonly kind: 'witness';
  /** For commands. */
  readonly fd: number;
  readonly controlFd: number;
  /** The key of the state once more: each is read to its end, and what leaves is encrypted under it, too. */
  readonly keyFd: number;
  /** It is switched on by INIT, once it was given the state that it goes on from. */
  readonly waiting: boolean;
}

/** Pure. */
export function swtpmArgv({ keyFd, channel }: SwtpmArguments): string[] {
  return [
    SWTPM,
    'socket',
    '--tpm2',
    '--tpmstate',
    `dir=${STATE_TARGET},mode=0600`,
    '--key',
    `fd=${keyFd},format=binary,mode=aes-256-cbc`,
    ...channelArguments(channel),
    // When QEMU, once connected, goes, its TPM goes.
    '--terminate',
    '--seccomp',
    'action=kill',
  ];
}

const SWITCHED_ON = ['--flags', 'not-need-init'];

function channelArguments(channel: SwtpmArguments['channel']): string[] {
  if (channel.kind === 'control') return ['--ctrl', `type=unixio,clientfd=${channel.fd}`];
  const commands = ['--fd', String(channel.fd)];
  if (channel.kind === 'witness') {
    return [
      ...['--migration-key', `fd=${channel.keyFd},format=binary,mode=aes-256-cbc`],
      ...[...commands, '--ctrl', `type=unixio,clientfd=${channel.controlFd}`],
      ...(channel.waiting ? [] : SWITCHED_ON),
    ];
  }
  return [...commands, ...SWITCHED_ON];
}
