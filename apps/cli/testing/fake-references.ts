// What the fake ringwalld answers about reference values: one image, of which a second version waits until it is accepted.
import {
  earSchema,
  hostReferenceBuiltSchema,
  referenceAcceptedSchema,
  referenceBuiltSchema,
  referenceDiffSchema,
  referenceListSchema,
  referenceTrialSchema,
  RingwallError,
  whySchema,
  type Machine,
  type Reference,
} from '@ringwall/api';

const AT = '2026-11-20T12:00:00.000Z';
const BOOT = '0123456789abcdef0123456789abcdef';

export class FakeReferences {
  /** What the host says that it is; undefined where it has no TPM. */
  host: Readonly<Record<string, unknown>> | undefined;
  #accepted = 'ab';
  #waiting: string | undefined;

  /** Undefined where the route is not one of these. */
  answer(route: string, body: unknown, machines: readonly Machine[]): unknown {
    const { subject = {} }: { subject?: { image?: string } } = Object(body);
    switch (route) {
      case 'GET references':
        return referenceListSchema.parse({ references: this.#list(), signers: ['12'.repeat(64)] });
      case 'POST images/*/reference':
        this.#waiting = 'cd';
        return referenceBuiltSchema.parse({ references: [{ format: 'ringwall-reference/1' }] });
      case 'POST references/diff':
        this.#requireWaiting(subject.image);
        return referenceDiffSchema.parse({
          subject: 'hello',
          sentences: [
            'the image is another: hello abababababab…, now hello cdcdcdcdcdcd…',
            'package busybox-static 1.36, before 1.35',
          ],
        });
      case 'POST references/try':
        this.#requireWaiting(subject.image);
        return referenceTrialSchema.parse({ subject: 'hello', tried: machines.map(fakeTrial), left: 0 });
      case 'POST references/accept':
        this.#requireWaiting(subject.image);
        this.#accepted = this.#waiting ?? this.#accepted;
        this.#waiting = undefined;
        return referenceAcceptedSchema.parse({ subject: 'hello', accepted: ['ref_2'], retired: ['ref_1'] });
      case 'POST host/*':
        if (this.host === undefined) throw new RingwallError('host-lacks', 'this host has no TPM of its own');
        return hostReferenceBuiltSchema.parse({ reference: this.host, unmeasured: ['/opt/ringwall/dist/warden.mjs'] });
      case 'GET machines/*/ear':
        return earSchema.parse({ token: 'eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl' });
      case 'GET machines/*/why':
        return whySchema.parse(FAKE_WHY);
      default:
        return undefined;
    }
  }

  #list(): Reference[] {
    const waits = this.#waiting === undefined ? [] : [fakeReference(this.#waiting, 'proposed', 'not-yet')];
    return [...waits, fakeReference(this.#accepted, 'accepted', this.#accepted === 'ab' ? 'first-use' : 'command')];
  }

  #requireWaiting(image: string | undefined): void {
    if (this.#waiting !== undefined && image === 'hello') return;
    throw new RingwallError('not-found', `nothing waits to be accepted for ${image ?? 'it'}`, {
      hint: 'what boots now is accepted; a changed image waits here after its next start',
    });
  }
}

function fakeReference(digest: string, state: Reference['state'], how: Reference['how']): Reference {
  return {
    id: `ref_${digest.repeat(32)}`,
    image: { name: 'hello', digest: digest.repeat(32) },
    kernel: { name: 'vmlinuz-6.1.0', digest: '33'.repeat(32) },
    firmware: { name: 'OVMF', digest: '22'.repeat(32) },
    by: 'the host a',
    publicKey: '12'.repeat(64),
    notAfter: '2027-02-20T12:00:00.000Z',
    state,
    how,
    at: AT,
  };
}

function fakeTrial({ id, name }: Machine): unknown {
  const reasons = ['initrd (PCR 9, EV_EVENT_TAG): measured abababababab…, expected cdcdcdcdcdcd…'];
  return { machine: id, name, boot: BOOT, at: AT, was: 'accepted', would: 'refused', reasons };
}

const FAKE_WHY = {
  boot: BOOT,
  at: AT,
  outcome: 'refused',
  reasons: ['initrd (PCR 9, EV_EVENT_TAG): measured cdcdcdcdcdcd…, expected abababababab…'],
  lastGoodAt: '2026-11-19T12:00:00.000Z',
  sentences: [
    'initrd (PCR 9, EV_EVENT_TAG): measured cdcdcdcdcdcd…, expected abababababab…',
    '  it is the file initrd',
    '  at the last good boot, 2026-11-19T12:00:00.000Z, it was abababababab…, as it is expected now',
    'one measurement has changed since the last good boot, 2026-11-19T12:00:00.000Z',
  ],
  differences: [],
};
