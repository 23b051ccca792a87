// Renders the TPM commands of @ringwall/tpm as functions of a POSIX shell, so that the guest's script sends commands
// and cuts answers whose bytes were described and tested in TypeScript. All quoting of the rendered file sits here;
// what goes into it are hexadecimal digits and names of a closed form.
import { toHex } from '@ringwall/bytes';
import { RingwallError } from '@ringwall/api';
import { RESPONSE_LAYOUTS, slotsOf, type CommandTemplate, type GuestCommandName } from '@ringwall/tpm';

/** Which fields the answer to each of the guest's commands has; a command that is not here has an answer without any. */
export const ANSWERS: ReadonlyMap<string, keyof typeof RESPONSE_LAYOUTS> = new Map<
  GuestCommandName,
  keyof typeof RESPONSE_LAYOUTS
>([
  ['nvReadPublic', 'nvReadPublic'],
  ['nvRead', 'nvRead'],
  ['createAk', 'createPrimary'],
  ['startTrial', 'startAuthSession'],
  ['startPolicy', 'startAuthSession'],
  ['policyGetDigest', 'policyGetDigest'],
  ['createBootKey', 'createPrimary'],
  ['quote', 'quote'],
  ['watchQuote', 'quote'],
  ['certify', 'certify'],
  ['loadBrokerKey', 'loadExternal'],
  ['verifyRelease', 'verifySignature'],
  ['activateCredential', 'activateCredential'],
  ['ecdhZGen', 'ecdhZGen'],
]);

const HEADING = `# Made by host/guestimage/shell-commands.ts from the commands and answers of lib/tpm. Not to be edited.
# tpm_NAME takes hexadecimal text of exactly the length of each slot, sends the command, and leaves each field of the
# answer, as hexadecimal text and without its length, in answer_FIELD. It fails where the TPM refuses.
`;

export function renderShellCommands(commands: Readonly<Record<string, CommandTemplate>>): string {
  const functions = Object.entries(commands).map(([name, template]) => {
    const answer = ANSWERS.get(name);
    return renderFunction(shellName(name), template, answer === undefined ? [] : RESPONSE_LAYOUTS[answer]);
  });
  return [HEADING, ...functions].join('\n');
}

function renderFunction(
  name: string,
  template: CommandTemplate,
  answer: (typeof RESPONSE_LAYOUTS)[keyof typeof RESPONSE_LAYOUTS] | readonly [],
): string {
  const slots = [...slotsOf(template)];
  const place = new Map(slots.map(([slot], index) => [slot, `\${${index + 1}}`]));
  const bytes = template
    .map((part) => (part instanceof Uint8Array ? toHex(part) : (place.get(part.slot) ?? '')))
    .join('');
  return [
    `tpm_${name}() {${slots.length === 0 ? '' : ` # ${slots.map(([slot]) => slot).join(' ')}`}`,
    `  [ $# -eq ${slots.length} ] || fail "tpm_${name}: expected ${slots.length} values"`,
    ...slots.map(
      ([slot, length], index) =>
        `  is_hex ${length * 2} "\${${index + 1}}" || fail "tpm_${name}: ${slot} is not ${length} bytes"`,
    ),
    `  tpm_transact "${bytes}"`,
    ...answer.map(([field, kind]) => `  ${renderCut(kind)}; answer_${shellName(field)}=$taken`),
    '}',
    '',
  ].join('\n');
}

function renderCut(kind: number | 'tpm2b' | 'rest'): string {
  if (kind === 'rest') return 'take_rest';
  return kind === 'tpm2b' ? 'take_sized' : `take_bytes ${kind}`;
}

/** `policyPcr` becomes `policy_pcr`, `nonceTPM` becomes `nonce_tpm`. */
function shellName(name: string): string {
  if (!/^[a-z][A-Za-z0-9]*$/.test(name))
    throw new RingwallError('internal', `${JSON.stringify(name)} is no shell name`);
  return name.replaceAll(/(?<=[a-z0-9])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}
