// Why a boot differs: what is said of each event, against the reference and against the last good boot.
import { toHex, utf8 } from '@ringwall/bytes';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  encodeLog,
  event,
  indexOf,
  realEvents,
  realLog,
  realReference,
  sha256,
  withEvent,
} from '../testing/event-log.ts';
import { compareReferences, explainDifference, type DifferenceInput } from './difference.ts';
import type { ReferenceContent } from './signed-reference.ts';

const KERNEL = indexOf(4, 0x8000_0003);
const INITRD = indexOf(9, 6, 1);
const EV_EFI_ACTION = 0x8000_0007;
const AT = new Date('2026-11-21T10:00:00Z');
const NEW_KERNEL = sha256(utf8('the next kernel'));

let reference: ReferenceContent & { readonly id: string };
let next: ReferenceContent & { readonly id: string };
beforeAll(async () => {
  const { firmware, image, events } = await realReference();
  reference = {
    id: `ref_${'01'.repeat(32)}`,
    for: { firmware, kernel: { name: 'vmlinuz-6.1.0-1', digest: 'aa'.repeat(32) }, image },
    events: events.map((item) =>
      item.what === 'kernel' ? { ...item, file: 'kernel', package: 'linux-image-6.1.0-1 6.1.76-1' } : item,
    ),
    packages: [
      { name: 'busybox', version: '1.35' },
      { name: 'linux-image-6.1.0-1', version: '6.1.76-1' },
    ],
  };
  next = {
    id: `ref_${'02'.repeat(32)}`,
    for: {
      ...reference.for,
      kernel: { name: 'vmlinuz-6.1.0-2', digest: 'bb'.repeat(32) },
      image: { ...image, digest: 'cc'.repeat(32) },
    },
    events: reference.events.map((item) => (item.what === 'kernel' ? { ...item, digest: toHex(NEW_KERNEL) } : item)),
    packages: [{ name: 'busybox', version: '1.36' }],
  };
});

const explain = (input: Partial<DifferenceInput>): ReturnType<typeof explainDifference> =>
  explainDifference({ eventLog: realLog, reference, ...input });
const good = (): NonNullable<DifferenceInput['lastGood']> => ({ at: AT, eventLog: realLog, reference });

describe('explainDifference()', () => {
  it('says that all is as expected, and that nothing changed', async () => {
    expect((await explain({ lastGood: good() })).sentences).toEqual([
      'every measurement is the expected one',
      'nothing has changed since the last good boot, 2026-11-21T10:00:00.000Z',
    ]);
  });

  it('names the file, the package, and what it was at the last good boot', async () => {
    const eventLog = encodeLog(withEvent(KERNEL, { digest: NEW_KERNEL }));
    const { differences, sentences } = await explain({ eventLog, lastGood: good() });
    expect(differences).toHaveLength(1);
    expect(differences[0]).toMatchObject({ what: 'kernel', file: 'kernel', lastGood: differences[0]?.expected });
    const was = (differences[0]?.expected ?? '').slice(0, 12);
    expect(sentences).toEqual([
      `kernel (PCR 4, EV_EFI_BOOT_SERVICES_APPLICATION): measured ${toHex(NEW_KERNEL).slice(0, 12)}…, expected ${was}…`,
      '  it is the file kernel of the package linux-image-6.1.0-1 6.1.76-1',
      `  at the last good boot, 2026-11-21T10:00:00.000Z, it was ${was}…, as it is expected now`,
      'one measurement has changed since the last good boot, 2026-11-21T10:00:00.000Z',
    ]);
  });

  it('recognises what booted by other reference values', async () => {
    const eventLog = encodeLog(withEvent(KERNEL, { digest: NEW_KERNEL }));
    const { sentences } = await explain({ eventLog, known: [next] });
    expect(sentences.join('\n')).toContain(
      'what was measured is the kernel of hello (sha256 cccccccccccc…), by ref_02020202…',
    );
  });

  it('says where the expectation changed, and not the machine', async () => {
    const { sentences } = await explain({ reference: next, lastGood: good() });
    expect(sentences.join('\n')).toContain('it was the same: what is expected has changed, not the machine');
    expect(sentences.at(-1)).toContain('nothing has changed since');
  });

  it('explains an event too many by its data, where its hash is the digest, and by nothing otherwise', async () => {
    const action = event(5, EV_EFI_ACTION, utf8('Entering ROM Based Setup'));
    const { sentences } = await explain({ eventLog: encodeLog([...realEvents, action]), lastGood: good() });
    expect(sentences.join('\n')).toContain('it is the action “Entering ROM Based Setup”');
    expect(sentences.join('\n')).toContain('there was no such event');
    const lie = { ...action, digest: NEW_KERNEL };
    expect((await explain({ eventLog: encodeLog([...realEvents, lie]) })).sentences.join('\n')).not.toContain(
      'ROM Based',
    );
  });

  it('explains what is missing', async () => {
    const eventLog = encodeLog(realEvents.filter((_event, index) => index !== INITRD));
    const { sentences } = await explain({ eventLog, lastGood: good() });
    expect(sentences[0]).toContain('initrd (PCR 9, EV_EVENT_TAG): never measured');
    expect(sentences.join('\n')).toContain('it was there');
  });

  it('shows no control characters of a log', async () => {
    const action = event(5, EV_EFI_ACTION, utf8('\u001b[2J'));
    const { sentences } = await explain({ eventLog: encodeLog([...realEvents, action]) });
    expect(sentences.join('\n')).toContain('1b5b324a');
    expect(sentences.join('')).not.toContain('\u001b');
  });
});

describe('compareReferences()', () => {
  it('says what an update changes: artefacts, packages, measurements', () => {
    const was = reference.events.find(({ what }) => what === 'kernel')?.digest.slice(0, 12) ?? '';
    expect(compareReferences(reference, next)).toEqual([
      'the image is another: hello abababababab…, now hello cccccccccccc…',
      'the kernel is another: vmlinuz-6.1.0-1 aaaaaaaaaaaa…, now vmlinuz-6.1.0-2 bbbbbbbbbbbb…',
      'package busybox 1.36, before 1.35',
      'package linux-image-6.1.0-1 6.1.76-1 is gone',
      `kernel (PCR 4) is expected as ${toHex(NEW_KERNEL).slice(0, 12)}… instead of ${was}…, the file kernel of the package linux-image-6.1.0-1 6.1.76-1`,
    ]);
  });

  it('says what is expected in addition, and no longer', () => {
    const fewer = { ...reference, events: reference.events.slice(1) };
    expect(compareReferences(fewer, reference)[0]).toContain('firmware version (PCR 0) is expected in addition');
    expect(compareReferences(reference, fewer)[0]).toContain('firmware version (PCR 0) is expected no longer');
  });

  it('says that nothing changes, and that all is new', () => {
    expect(compareReferences(reference, reference)).toEqual(['nothing changes']);
    expect(compareReferences(undefined, reference)[0]).toContain('nothing is accepted for hello yet');
  });
});
