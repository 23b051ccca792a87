import { guestCommands, slot } from '@ringwall/tpm';
import { describe, expect, it } from 'vitest';
import { ANSWERS, renderShellCommands } from './shell-commands.ts';
import { BUSYBOX, runGuestShell } from './testing/guest-shell.ts';

describe('renderShellCommands()', () => {
  it('renders a command with its holes, the checks of their lengths, and the cuts of its answer', () => {
    const commands = { ecdhZGen: [Uint8Array.of(0x80, 1), slot('boot_key', 4), slot('x', 2), slot('boot_key', 4)] };
    expect(renderShellCommands(commands).split('\n').slice(4).join('\n')).toBe(`tpm_ecdh_zgen() { # boot_key x
  [ $# -eq 2 ] || fail "tpm_ecdh_zgen: expected 2 values"
  is_hex 8 "\${1}" || fail "tpm_ecdh_zgen: boot_key is not 4 bytes"
  is_hex 4 "\${2}" || fail "tpm_ecdh_zgen: x is not 2 bytes"
  tpm_transact "8001\${1}\${2}\${1}"
  take_bytes 4; answer_parameter_size=$taken
  take_bytes 2; answer_point_size=$taken
  take_sized; answer_x=$taken
  take_sized; answer_y=$taken
  take_rest; answer_authorization=$taken
}
`);
  });

  it.each(['x y', 'x;y', 'X', '$(x)', ''])('refuses the name %j', (name) => {
    expect(() => renderShellCommands({ [name]: [] })).toThrow(/is no shell name/);
  });

  it('knows the answer of each command of the guest that has one', () => {
    const without = Object.keys(guestCommands).filter((name) => !ANSWERS.has(name));
    expect(without).toEqual(['policyPcr', 'policySecret', 'flushContext', 'extendUnlocked', 'noteState', 'defineNote']);
  });

  it.skipIf(BUSYBOX === undefined)('fills the holes as the library does (skipped: needs busybox)', async () => {
    const session = '03000001';
    const { stdout } = await runGuestShell(`tpm_transact() { printf '%s' "$1"; }; tpm_flush_context ${session}`);
    expect(stdout).toBe(`80010000000e00000165${session}`);
  });
});
