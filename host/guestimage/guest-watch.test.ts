// The guest's watcher against questions, lists and TPMs that somebody else made up.
import { createHash } from 'node:crypto';
import { WATCH_LIMITS } from '@ringwall/evidence';
import { describe, expect, it } from 'vitest';
import { BUSYBOX, runGuestShell } from './testing/guest-shell.ts';

const NONCE = 'a1'.repeat(32);
const BOOT = 'b2'.repeat(16);
const MACHINE = 'mch_aaaaaaaaaaaaaaaaaaaa';
const QUESTION = `observe ${NONCE} ${MACHINE} ${BOOT} 3`;

/** A TPM that quotes what it is asked, a list of `bytes` digits, and a broker that is told on standard output. */
function answering(bytes: number): string {
  return `
    send() { cat; }
    ak=80000000
    uptime_seconds() { printf 100; }
    tpm_note_state() { fail 'this TPM takes no note'; }
    tpm_define_note() { fail 'this TPM takes no note'; }
    tpm_watch_quote() { answer_quoted=$2 answer_parameter_size=00000026 answer_signature_and_authorization=00180102; }
    signature_of() { printf '0018'; }
    yes 0123456789 | tr -d '\\n' | head -c ${bytes} >"$MEASUREMENTS"
    answer_questions`;
}

function bytesOf(lines: readonly string[]): string {
  const hex = lines.flatMap((line) => (line.startsWith('ima-log ') ? [line.slice('ima-log '.length)] : []));
  return Buffer.from(hex.join(''), 'hex').toString('latin1');
}

describe.skipIf(BUSYBOX === undefined)('the watcher (skipped: needs busybox, where it is missing)', () => {
  it('answers with a quote over the question, and the list from where it was asked', async () => {
    const { stdout } = await runGuestShell(answering(2000), `${QUESTION}\n`);
    const lines = stdout.trimEnd().split('\n');
    const text = `ringwall-watch 1\n${NONCE}\n${MACHINE}\n${BOOT}\n3\n`;
    const qualifying = createHash('sha256').update(text).digest('hex');
    expect(lines.slice(0, 2)).toEqual(['observed 2000', `quote ${qualifying} 0018`]);
    expect(lines.slice(2).map((line) => line.split(' ')[0])).toEqual(['ima-log', 'ima-log', 'end']);
    expect(bytesOf(lines)).toBe('0123456789'.repeat(200).slice(3));
  });

  it('says that the list goes on where it is longer than an answer', async () => {
    const { stdout } = await runGuestShell(answering(WATCH_LIMITS.logBytes + 4), `${QUESTION}\n`);
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toBe(`observed ${WATCH_LIMITS.logBytes + 3}`);
    expect(lines.slice(-2)).toEqual(['more', 'end']);
    // A TPM that takes no note.
    expect(lines.length).toBe(WATCH_LIMITS.lines - 1);
    expect(bytesOf(lines)).toHaveLength(WATCH_LIMITS.logBytes);
    const exact = await runGuestShell(answering(WATCH_LIMITS.logBytes + 3), `${QUESTION}\n`);
    expect(exact.stdout).not.toContain('more');
  });

  it('answers with no line of the list where nothing is new, or where there is not so much', async () => {
    for (const bytes of [3, 1]) {
      const { stdout } = await runGuestShell(answering(bytes), `${QUESTION}\n`);
      expect(stdout).toMatch(/^observed 3\nquote [0-9a-f]{64} 0018\nend\n$/);
    }
  });

  it('answers one question after the other', async () => {
    const { stdout } = await runGuestShell(answering(10), `${QUESTION}\n\ndone\n${QUESTION}\n`);
    expect(stdout.match(/^observed 10$/gm)).toHaveLength(2);
  });

  it('has the TPM note its state first, at most once a minute, in an index that is made where it is missing', async () => {
    const noting = `
      tpm_note_state() { [ -e "$dir/index" ] || fail 'no such index'; printf 'counted\\n' >&2; }
      tpm_define_note() { : >"$dir/index"; }
      uptime_seconds() { echo >>"$dir/seconds"; printf '%s' "$(($(wc -l <"$dir/seconds") * 25))"; }
      tpm_watch_quote() { printf 'quoted\\n' >&2; answer_quoted=$2 answer_parameter_size=00000026 answer_signature_and_authorization=00180102; }`;
    const body = answering(3).replace(/answer_questions$/, `${noting}\nanswer_questions`);
    const { stdout, stderr } = await runGuestShell(body, `${QUESTION}\n`.repeat(5));
    expect(stdout.match(/^(?:noted|end)$/gm)).toEqual(['noted', 'end', 'end', 'end', 'noted', 'end', 'end']);
    expect(stderr).toBe('counted\nquoted\nquoted\nquoted\ncounted\nquoted\nquoted\n');
  });

  it.each([
    ['nothing', ''],
    ['another word', `look ${NONCE} ${MACHINE} ${BOOT} 3`],
    ['two spaces', `observe  ${NONCE} ${MACHINE} ${BOOT} 3`],
    ['a word less', `observe ${NONCE} ${MACHINE} ${BOOT}`],
    ['a word more', `${QUESTION} 4`],
  ])('passes over %s', async (_, line) => {
    expect((await runGuestShell(answering(10), `${line}\n`)).stdout).toBe('');
  });

  it.each([
    ['a nonce in capitals', `observe ${NONCE.toUpperCase()} ${MACHINE} ${BOOT} 3`],
    ['a machine that is a path', `observe ${NONCE} ../../etc ${BOOT} 3`],
    ['a place that is negative', `observe ${NONCE} ${MACHINE} ${BOOT} -3`],
    ['a place that is a sum', `observe ${NONCE} ${MACHINE} ${BOOT} 1+2`],
    ['a place beyond the shell’s arithmetic', `observe ${NONCE} ${MACHINE} ${BOOT} 999999999999999999999`],
  ])('has no answer to %s', async (_, line) => {
    expect((await runGuestShell(`${answering(10)} || printf ended`, `${line}\n${QUESTION}\n`)).stdout).toBe('ended');
  });

  it('pauses before each try, whatever goes wrong: no TPM, nobody on the line, a line that is cut', async () => {
    const counted = `
      sleep() { printf 'pause %s\\n' "$1"; paused=$((\${paused:-0} + 1)); [ "$paused" -lt 3 ] || exit 0; }`;
    const noTpm = await runGuestShell(`${counted}\n watch() { exit 1; }\n keep_watching`);
    expect(noTpm.stdout).toBe('pause 1\n'.repeat(3));
    const cut = await runGuestShell(
      `${counted}\n send() { cat; }\n tpm_create_ak() { answer_object_handle=80000000; }
       WATCH_TPM=/dev/null\n watch`,
    );
    expect(cut.stdout).toBe('watch 1\npause 1\n'.repeat(3));
  });

  it('a machine whose kernel takes no policy is told from one whose kernel does', async () => {
    const { stdout } = await runGuestShell(`
      cat() { printf 'measure func=BPRM_CHECK\\n'; }
      measure_what_runs && printf 'taken '
      unset -f cat
      IMA_POLICY=/nonexistent/policy
      measure_what_runs || printf 'refused'`);
    expect(stdout).toBe('taken refused');
  });
});
