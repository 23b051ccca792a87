import { Cursor, toHex } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { commands } from './index.ts';
import { TPM_ST } from '../constants.ts';
import { guestCommands, type GuestCommandName } from './guest-commands.ts';
import { EK_HANDLE } from './key-templates.ts';
import { fillTemplate, slot, slotsOf, templateLength, type CommandTemplate } from './template.ts';
import { TpmError } from '../tpm-error.ts';

describe('guestCommands', () => {
  test.each(Object.entries(guestCommands))('%s says its own length and is under the guest’s limits', (_, template) => {
    const bytes = fillTemplate(template, filling(template));
    const cursor = new Cursor(bytes);
    expect([TPM_ST.NO_SESSIONS, TPM_ST.SESSIONS]).toContain(cursor.u16be('tag'));
    expect(cursor.u32be('commandSize')).toBe(bytes.length);
    expect(templateLength(template)).toBe(bytes.length);
    expect(bytes.length).toBeLessThanOrEqual(4096);
  });

  // Spaces stand where a person reads a new field. The real test sends these to swtpm.
  test('are these bytes and holes', () => {
    const golden: Record<GuestCommandName, string> = {
      nvReadPublic: '80010000000e00000169 01c0000a',
      nvRead: '8002000000230000014e 01c0000a01c0000a 00000009400000090000000000 {size:2} 0000',
      createAk:
        '80020000004100000131 4000000b 00000009400000090000000000 000400000000 ' +
        '0018 0023000b00050472 0000 00100018000b00030010 00000000 000000000000',
      startTrial: '80010000002b00000176 4000000740000007 001000000000000000000000000000000000 0000 03 0010000b',
      startPolicy: '80010000002b00000176 4000000740000007 001000000000000000000000000000000000 0000 01 0010000b',
      policyPcr: '80010000001a0000017f {session:4} 0000 00000001000b03fffb00',
      policyGetDigest: '80010000000e00000189 {session:4}',
      policySecret: '80020000002900000151 4000000b {session:4} 00000009400000090000000000 000000000000 00000000',
      createBootKey:
        '80020000009f00000131 40000007 00000009400000090000000000 000400000000 ' +
        '0076 0023000b00020432 0020 {auth_policy:32} 0010001000030010 0020 {unique_x:32} 0020 {unique_y:32} 000000000000',
      quote: '80020000004900000158 {ak:4} 00000009400000090000000000 0020 {qualifying:32} 0010 00000001000b03fffb00',
      certify:
        '80020000004c00000148 {boot_key:4} {ak:4} 00000012400000090000000000400000090000000000 0020 {qualifying:32} 0010',
      loadBrokerKey:
        '80010000006a00000167 0000 0058 0023000b00040040 0000 00100018000b00030010 0020 {broker_x:32} 0020 {broker_y:32} ' +
        '40000007',
      verifyRelease: '80010000007800000177 {broker_key:4} 0020 {digest:32} 0018000b 0020 {sig_r:32} 0020 {sig_s:32}',
      activateCredential:
        '8002000000b400000147 {ak:4} 81010002 00000012400000090000000000 {session:4} 0000000000 ' +
        '0044 {id_object:68} 0044 {encrypted_secret:68}',
      ecdhZGen:
        '80020000006100000154 {boot_key:4} 00000009 {session:4} 0000000000 0044 0020 {point_x:32} 0020 {point_y:32}',
      flushContext: '80010000000e00000165 {handle:4}',
      extendUnlocked: '80020000004100000182 0000000f 00000009400000090000000000 00000001000b {digest:32}',
      watchQuote:
        '80020000004900000158 {ak:4} 00000009400000090000000000 0020 {qualifying:32} 0010 00000001000b03ffff00',
      noteState: '80020000001f00000134 0150001701500017 00000009400000090000000000',
      defineNote: '80020000002d0000012a 40000001 00000009400000090000000000 0000 000e 01500017 000b 02040014 0000 0008',
    };
    const rendered = Object.entries(guestCommands).map(([name, template]) => [name, render(template)]);
    expect(rendered).toEqual(Object.entries(golden).map(([name, text]) => [name, text.replaceAll(' ', '')]));
  });
});

describe('commands', () => {
  test('refuse a handle hole that is not 4 bytes', () => {
    expect(() => commands.flushContext(slot('handle', 2))).toThrow('handle slot handle has 2 bytes, expected 4');
  });

  test('refuse PCRs that do not exist', () => {
    expect(() => commands.pcrRead([24])).toThrow(TpmError);
    expect(() => commands.quote({ signHandle: EK_HANDLE, qualifyingData: new Uint8Array(0), pcrs: [-1] })).toThrow(
      TpmError,
    );
  });
});

function render(template: CommandTemplate): string {
  return template.map((part) => (part instanceof Uint8Array ? toHex(part) : `{${part.slot}:${part.bytes}}`)).join('');
}

function filling(template: CommandTemplate): Record<string, Uint8Array> {
  return Object.fromEntries([...slotsOf(template)].map(([name, bytes]) => [name, new Uint8Array(bytes)]));
}
