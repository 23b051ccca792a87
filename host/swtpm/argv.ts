// Builds the command line of swtpm(8), version 0.7.1 on. Paths are those inside its jail; the key of its state comes
// by a descriptor.

export const SWTPM = '/usr/bin/swtpm';
/** Where the jail shows the state directory. */
export const STATE_TARGET = '/state';

export interface SwtpmArguments {
  /** The descriptor of the state's key. */
  readonly keyFd: number;
  /** `control`: QEMU's end, which sends INIT itself. `commands`: raw TPM commands, for the TPM's manufacture. */
  readonly channel: { readonly kind: 'control' | 'commands'; readonly fd: number };
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
    ...(channel.kind === 'control'
      ? ['--ctrl', `type=unixio,clientfd=${channel.fd}`]
      : ['--fd', String(channel.fd), '--flags', 'not-need-init']),
    // When QEMU, once connected, goes, its TPM goes.
    '--terminate',
    '--seccomp',
    'action=kill',
  ];
}
