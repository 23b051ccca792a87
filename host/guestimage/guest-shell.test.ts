// The guest's scripts against lines, numbers and answers that somebody else made up.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { run } from '../exec/index.ts';
import { BUSYBOX, GUEST_SCRIPTS, runGuestShell } from './testing/guest-shell.ts';

/** Gives a program a terminal. */
const SCRIPT = '/usr/bin/script';
const PYTHON = '/usr/bin/python3';

const NONCE = 'a1'.repeat(32);
const BOOT = 'b2'.repeat(16);
const MACHINE = 'mch_aaaaaaaaaaaaaaaaaaaa';
const CHALLENGE = `challenge ${NONCE} ${MACHINE} ${BOOT}`;
const FIELDS = ['c3'.repeat(68), 'd4'.repeat(68), 'e5'.repeat(64), 'f6'.repeat(32), '17'.repeat(32), '28'.repeat(32)];
const COMMAND_LINE =
  `console=ttyS0 ringwall.image=hello ringwall.verity=${'ab'.repeat(32)} ringwall.hashoffset=8192 ` +
  `ringwall.broker=${'00'.repeat(64)} initrd=initrd`;
const RELEASE = `release open ${FIELDS.join(' ')}`;

function challengeOf(nonce: number): string {
  return `challenge ${nonce.toString(16).padStart(64, '0')} ${MACHINE} ${BOOT}`;
}

/** As `attest` calls them: in a condition, where `set -e` is off. */
const CHALLENGED = `
  send() { cat >/dev/null; }
  if receive_challenge; then printf '%s|%s|%s' "$nonce" "$machine" "$boot"; else printf 'silence'; fi`;
const RELEASED = `
  challenge='${CHALLENGE}' machine='${MACHINE}' nonce=''
  send_evidence() { printf '%s|' "$nonce"; }
  if receive_release; then printf '%s|%s|' "$release_mode" "$machine_name"; cat "$SENTENCES"; else printf 'silence'; fi`;

/** TPM2_NV_ReadPublic as far as a fake TPM looks at it, and an answer to it that holds aabb. */
const COMMAND = '80010000000e0000016901c0000a';
const ANSWER = '80010000000e000000000002aabb';

/** Sends one command to a TPM that gives these answers, one after the other; '' is none. */
function transactWith(answers: readonly string[]): string {
  return `
    usleep() { :; }
    asked=0
    tpm_exchange() {
      asked=$((asked + 1)) tpm_rest=''
      case $asked in
        ${answers.map((answer, index) => `${index + 1}) tpm_rest='${answer}' ;;`).join('\n')}
      esac
      [ -n "$tpm_rest" ]
    }
    tpm_transact ${COMMAND}`;
}

describe.skipIf(BUSYBOX === undefined)('the guest’s scripts (skipped: needs busybox, where it is missing)', () => {
  it('forget what names another machine on a disk that was copied from it, and nothing on their own', async () => {
    const start = (machine: string): string => `machine=${machine}; forget_another_machine disk; ls disk/upper/etc; `;
    const result = await runGuestShell(
      `mkdir -p disk/upper/etc; touch disk/upper/etc/machine-id disk/upper/etc/passwd
       ${start('mch_a')} ${start('mch_a')} printf 'clone '; ${start('mch_b')} cat disk/machine`,
    );
    expect(result.stdout.split(/\s+/)).toEqual(
      ['machine-id passwd machine-id passwd clone passwd mch_b', ''].join(' ').split(' '),
    );
  });

  it('take a challenge apart', async () => {
    const result = await runGuestShell(CHALLENGED, `${CHALLENGE}\n`);
    expect(result).toMatchObject({ code: 0, stdout: `${NONCE}|${MACHINE}|${BOOT}`, reasons: [] });
  });

  it.each([
    ['a nonce that is short', `challenge ${NONCE.slice(1)} ${MACHINE} ${BOOT}`],
    ['a nonce in capitals', `challenge ${NONCE.toUpperCase()} ${MACHINE} ${BOOT}`],
    ['a boot id that is long', `challenge ${NONCE} ${MACHINE} ${BOOT}0`],
    ['a machine that is a path', `challenge ${NONCE} ../../etc ${BOOT}`],
    ['a machine that is a pattern', `challenge ${NONCE} * ${BOOT}`],
    ['a machine that is an option', `challenge ${NONCE} -n ${BOOT}`],
    ['two spaces', `challenge  ${NONCE} ${MACHINE} ${BOOT}`],
    ['a space before', ` ${CHALLENGE}`],
    ['a space behind', `${CHALLENGE} `],
    ['a word more', `${CHALLENGE} x`],
    ['a word less', `challenge ${NONCE} ${MACHINE}`],
    ['a tab', `challenge\t${NONCE} ${MACHINE} ${BOOT}`],
    ['a carriage return', `${CHALLENGE}\r`],
    ['an escape sequence', `\u001b[2J${CHALLENGE}`],
    ['a byte above ASCII', `${CHALLENGE}\u00e9`],
    ['another word', `challenged ${NONCE} ${MACHINE} ${BOOT}`],
    ['nothing', ''],
    ['a line that is too long', 'x'.repeat(5000)],
  ])('refuse a challenge with %s', async (_name, line) => {
    const result = await runGuestShell(CHALLENGED, Buffer.from(`${line}\n`, 'latin1'));
    expect(result.code).toBe(1);
    expect(result.reasons).toHaveLength(1);
    expect(result.stdout).toBe('');
  });

  it('take silence, and a line that breaks off, for silence', async () => {
    const silent = 'HELLO_SECONDS=1; sleep() { :; }\n';
    expect(await runGuestShell(silent + CHALLENGED, '')).toMatchObject({ code: 0, stdout: 'silence' });
    expect(await runGuestShell(silent + CHALLENGED, CHALLENGE)).toMatchObject({ code: 0, stdout: 'silence' });
  });

  it('drop the rest of a line that broke off, and not the line after it', async () => {
    const body = `
      HELLO_SECONDS=1 LINE_SECONDS=1
      sleep() { :; }
      mkfifo "$dir/port" && exec 4<>"$dir/port"
      printf '${CHALLENGE.slice(0, 40)}' >&4
      ${CHALLENGED}
      printf '%s\\n' '${CHALLENGE.slice(40)}' '${CHALLENGE}' >&4
      ${CHALLENGED}`;
    expect(await runGuestShell(body)).toMatchObject({
      code: 0,
      stdout: `silence${NONCE}|${MACHINE}|${BOOT}`,
      reasons: [],
    });
  });

  it('tell the broker also of what went wrong before there was anything to say', async () => {
    const body = `
      list_loaded() { printf yes; }
      port_by_name() { printf '%s' "$dir/port"; }
      tell_broker_failed 'the TPM does not answer'
      cat "$dir/port"`;
    expect((await runGuestShell(body)).stdout).toBe('failed the TPM does not answer\n');
  });

  it('pass over a release that came too late for the challenge before', async () => {
    const lines = [RELEASE, 'name x', 'proven y', 'end', CHALLENGE, ''];
    expect(await runGuestShell(CHALLENGED, lines.join('\n'))).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^a1/),
    });
    const endless = await runGuestShell(CHALLENGED, 'proven y\n'.repeat(1000));
    expect(endless).toMatchObject({ code: 1, reasons: ['the broker sent too many lines'] });
  });

  it('take a release apart, and pass over a challenge that was sent twice', async () => {
    const lines = [CHALLENGE, RELEASE, 'name testguest', 'proven It is $(true) `true` * \\n "so".', 'end', ''];
    expect(await runGuestShell(RELEASED, lines.join('\n'))).toMatchObject({
      code: 0,
      stdout: 'open|testguest|It is $(true) `true` * \\n "so".\n',
      reasons: [],
    });
  });

  it.each([
    ['challenges without end', Array.from({ length: 20 }, (_, index) => challengeOf(index))],
    ['a challenge that is malformed', ['challenge x']],
    ['another mode', [RELEASE.replace('open', 'erase')]],
    ['a mode that is a pattern', [RELEASE.replace('open', '*')]],
    ['a word less', [RELEASE.slice(0, -65)]],
    ['a word more', [`${RELEASE} 00`]],
    ['two spaces', [RELEASE.replace(' ', '  ')]],
    ...FIELDS.map((field, index): [string, string[]] => [
      `a digit less in field ${index}`,
      [`release open ${FIELDS.with(index, field.slice(1)).join(' ')}`],
    ]),
    ...FIELDS.map((field, index): [string, string[]] => [
      `shell text in field ${index}`,
      [`release open ${FIELDS.with(index, `$(reboot)${field.slice(9)}`).join(' ')}`],
    ]),
    ['a name that is a path', [RELEASE, 'name ../x', 'end']],
    ['a name that is an option', [RELEASE, 'name -x', 'end']],
    ['a line that is unknown', [RELEASE, 'execute reboot', 'end']],
    ['a sentence that clears the screen', [RELEASE, 'proven \u001bc', 'end']],
    ['sentences without end', [RELEASE, ...Array.from({ length: 100 }, () => 'proven It goes on.'), 'end']],
  ])('refuse a release with %s', async (_name, lines) => {
    const result = await runGuestShell(RELEASED, `${lines.join('\n')}\n`);
    expect(result.code).toBe(1);
    expect(result.reasons).toHaveLength(1);
    expect(result.stdout).not.toMatch(/open|format|silence/);
  });

  it('answer the last challenge', async () => {
    const lines = [challengeOf(1), CHALLENGE, challengeOf(2), RELEASE, 'end', ''];
    const [first, second] = [1, 2].map((nonce) => challengeOf(nonce).split(' ')[1]);
    const { stdout } = await runGuestShell(RELEASED, lines.join('\n'));
    expect(stdout).toBe(`${first}|${NONCE}|${second}|open|${MACHINE}|`);
  });

  it('begin anew where a release breaks off', async () => {
    expect(await runGuestShell(RELEASED, `${RELEASE}\nname x\n`)).toMatchObject({ code: 0, stdout: 'silence' });
  });

  it('keep the broker’s reasons for the refusal', async () => {
    const lines = ['refused', 'reason The kernel is another.', 'reason The log does not replay.', 'end', ''];
    const result = await runGuestShell(RELEASED, lines.join('\n'));
    expect(result).toMatchObject({ code: 1, reasons: ['The kernel is another.', 'The log does not replay.'] });
  });

  it('bound the reasons of a broker', async () => {
    const result = await runGuestShell(RELEASED, `refused\n${'reason No.\n'.repeat(1000)}`);
    expect(result.reasons).toHaveLength(64);
  });

  it.each([
    ['is_hex 4 0aff', true],
    ['is_hex 4 0afg', false],
    ['is_hex 4 0AFF', false],
    ['is_hex 4 0af', false],
    ['is_hex 0 ""', true],
    ['is_number 4096', true],
    ['is_number 0', true],
    ['is_number 010', false],
    ['is_number -1', false],
    ['is_number 1e3', false],
    ['is_number 9999999999999999999', false],
    ['is_label a-b_c9', true],
    ['is_label 9a', false],
    ['is_label A', false],
    ['is_label ""', false],
    [`is_label ${'a'.repeat(63)}`, true],
    [`is_label ${'a'.repeat(64)}`, false],
    ['is_printable "a ~"', true],
    ['is_printable "$(printf "\\\\177")"', false],
  ])('hold that %s is %s', async (test, holds) => {
    expect((await runGuestShell(`if ${test}; then printf yes; else printf no; fi`)).stdout).toBe(holds ? 'yes' : 'no');
  });

  it('xor two halves of a key', async () => {
    const [a, b] = ['00ff10'.padEnd(64, '7'), 'ffffffff'.padEnd(64, '1')];
    const expected = Buffer.from(a, 'hex').map((byte, index) => byte ^ (Buffer.from(b, 'hex')[index] ?? 0));
    expect((await runGuestShell(`xor_hex ${a} ${b}`)).stdout).toBe(Buffer.from(expected).toString('hex'));
    expect(await runGuestShell(`key=$(xor_hex ${a} ${b.slice(2)})`)).toMatchObject({ code: 1 });
  });

  it('digest texts and bytes', async () => {
    const digest = (bytes: string | Buffer): string => createHash('sha256').update(bytes).digest('hex');
    expect((await runGuestShell(`sha256_text 'a %s\\n' '%s -n $x'`)).stdout).toBe(digest('a %s -n $x\n'));
    expect((await runGuestShell(`sha256_hex 00ff`)).stdout).toBe(digest(Buffer.from([0, 255])));
  });

  it('cut an answer of the TPM by its lengths', async () => {
    const body = `tpm_rest=0003aabbcc0000dd; take_sized; printf '%s|' "$taken"; take_sized; take_rest; printf '%s' "$taken"`;
    expect((await runGuestShell(body)).stdout).toBe('aabbcc|dd');
  });

  it.each([
    ['that the kernel gave up on', ['', '', ANSWER]],
    ['that got the late answer of another', ['80020000000b00000000ff', ANSWER]],
    ['that got half an answer', [ANSWER.slice(0, -2), ANSWER]],
    ['that the TPM asks for once more', ['80010000000a00000922', '80010000000a00000908', ANSWER]],
  ])('repeat a command %s', async (_name, answers) => {
    const result = await runGuestShell(`${transactWith(answers)}; take_sized; printf '%s' "$taken"`);
    expect(result).toMatchObject({ code: 0, stdout: 'aabb', reasons: [] });
  });

  it.skipIf(!existsSync(SCRIPT) || !existsSync('/bin/xxd'))(
    'give the TPM each command in one piece, whatever was said on the console before',
    async () => {
      // On a terminal, as the console is. What comes in two pieces is read in two.
      const script = `
        . ${GUEST_SCRIPTS}/tpm.sh
        dir=$(mktemp -d) && mkfifo "$dir/tpm" && exec 3<>"$dir/tpm"
        printf 'said\\n'
        for try in 1 2 3 4 5 6 7 8; do
          dd bs=4096 count=1 <&3 2>/dev/null >"$dir/$try" &
          xxd() { [ "$1" = -p ] || command xxd "$@"; }
          tpm_exchange 0a0a0a0a0a0a0a0a0a0a0a0a
          wait
          [ "$(wc -c <"$dir/$try")" -eq 12 ] || printf 'in pieces\\n'
        done
        rm -r "$dir"`;
      const argv = [SCRIPT, '-qec', `${BUSYBOX} sh -c '${script.replaceAll("'", String.raw`'\''`)}'`, '/dev/null'];
      const { code, stdout } = await run(argv, {
        timeoutMs: 120_000,
        env: { PATH: '/usr/bin:/bin', SHELL: '/bin/sh' },
      });
      expect({ code, said: stdout.toString().trim() }).toEqual({ code: 0, said: 'said' });
    },
  );

  it.skipIf(!existsSync(SCRIPT) || !existsSync(PYTHON))(
    'say on the console what they have to say, also where a child ends while it waits for the console',
    async () => {
      const flow = (action: string): string => `${PYTHON} -c "import termios; termios.tcflow(1, termios.${action})"`;
      const script = `
        . ${GUEST_SCRIPTS}/report.sh
        ${flow('TCOOFF')}
        usleep 100000 &
        { usleep 500000; ${flow('TCOON')}; } &
        mark attested
        ${BUSYBOX} echo "status $?"`;
      const argv = [SCRIPT, '-qec', `${BUSYBOX} sh -c '${script.replaceAll("'", String.raw`'\''`)}'`, '/dev/null'];
      const { stdout } = await run(argv, { timeoutMs: 120_000, env: { PATH: '/usr/bin:/bin', SHELL: '/bin/sh' } });
      expect(stdout.toString().split('\r\n')).toEqual(['ringwall: attested', 'status 0', '']);
    },
  );

  it.each([
    ['without its EK certificate', 'tpm_exchange() { tpm_rest=80010000000a0000018b; }', /cleared \(TPM2_Clear\)/],
    [
      'whose endorsement hierarchy is closed',
      `tpm_nv_read_public() { answer_data_size=0001; }
       tpm_nv_read() { answer_data=aa; tpm_refusal_means=''; }
       tpm_exchange() { tpm_rest=80010000000a000009a2; }`,
      /somebody changed its authorization/,
    ],
  ])('say what is the matter with a TPM %s', async (_name, tpm, reason) => {
    const { code, reasons } = await runGuestShell(`open_tpm() { :; }\n${tpm}\nmake_keys`);
    expect(code).toBe(1);
    expect(reasons).toEqual([expect.stringMatching(reason)]);
  });

  it('do not repeat a command that the TPM refuses', async () => {
    const { code, reasons } = await runGuestShell(transactWith(['80010000000a0000018b', ANSWER]));
    expect({ code, reasons }).toEqual({
      code: 1,
      reasons: ['the TPM refused command 0x00000169 with code 0x0000018b'],
    });
  });

  it('give up on a TPM that does not answer', async () => {
    const { code, reasons } = await runGuestShell(transactWith([]));
    expect({ code, reasons }).toEqual({ code: 1, reasons: ['the TPM does not answer command 0x00000169'] });
  });

  it.each([['0003aabb'], ['00'], [''], ['ffff00']])('refuse the answer %s, which is cut short', async (answer) => {
    expect(await runGuestShell(`tpm_rest='${answer}'; take_sized`)).toMatchObject({
      code: 1,
      reasons: ['the TPM’s answer is cut short'.replace('’', "'")],
    });
  });

  it('refuse to send a command with a value of the wrong length', async () => {
    const body = 'tpm_transact() { printf "sent"; }; tpm_flush_context 8000000';
    expect(await runGuestShell(body)).toMatchObject({ code: 1, stdout: '' });
  });

  it('read the four words of a command line', async () => {
    const body = `cat() { printf '%s' '${COMMAND_LINE}'; }; read_command_line; printf '%s %s' "$image" "$hash_offset"`;
    expect(await runGuestShell(body)).toMatchObject({ code: 0, stdout: 'hello 8192' });
  });

  it.each([
    ['a broker key twice', `ringwall.broker=${'00'.repeat(64)}`],
    ['a root hash twice', `ringwall.verity=${'00'.repeat(32)}`],
    ['an image twice', 'ringwall.image=hello'],
    ['a hash offset twice', 'ringwall.hashoffset=8192'],
  ])('refuse a command line with %s', async (_name, more) => {
    const result = await runGuestShell(`cat() { printf '%s' '${COMMAND_LINE} ${more}'; }; read_command_line`);
    expect(result.code).toBe(1);
    expect(result.reasons).toHaveLength(1);
  });

  it.each([
    ['no image', /ringwall.image=hello /],
    ['no root hash', /ringwall.verity=\S+ /],
    ['no hash offset', /ringwall.hashoffset=\S+ /],
    ['no broker key', /ringwall.broker=\S+ /],
    ['a broker key that is short', /00 initrd/],
  ])('refuse a command line with %s', async (_name, gone) => {
    const result = await runGuestShell(
      `cat() { printf '%s' '${COMMAND_LINE.replace(gone, ' initrd')}'; }; read_command_line`,
    );
    expect(result.code).toBe(1);
    expect(result.reasons).toHaveLength(1);
  });
});
