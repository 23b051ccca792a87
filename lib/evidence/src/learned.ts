// What a machine measured that boots a system of its own, as what is expected of its next boots. Nobody computed it
// beforehand but the firmware's part; a person looks at the first boot and accepts it by name. Its events are those that
// its TPM was seen to extend, by their digests, with names where the digest is known.
import { toHex, utf8 } from '@ringwall/bytes';
import { digest } from '@ringwall/tpm';
import { EvidenceError } from './errors.ts';
import { expectedOfLog } from './host/boot-log.ts';
import { parsePolicy, policyJson, type Policy } from './policy.ts';
import type { Artefact, ExpectedEvent, ReferenceValues } from './reference.ts';
import type { AllowRule } from './rules.ts';
import type { ReferenceContent, SignedReference } from './signed-reference.ts';

/** Before the machine's name, in the name of what its reference values are for. No image has such a name. */
export const LEARNED_PREFIX = 'learned:';

const CRTM_PCR = 0;

/**
 * What differs from boot to boot for honest reasons. The rest of a boot is the same each time: firmware and variables are
 * handed out anew, the quote is taken before a kernel has run, and PCR 10 (what runs later, by IMA) is not in it.
 */
const HONEST_CHANGES: readonly AllowRule[] = [
  {
    effect: 'allow',
    pcr: 5,
    type: 'EV_COMPACT_HASH',
    digests: 'any',
    mayBeMissing: true,
    reason:
      'the partition table, which a cloud image grows at its first boot, and the boot loader’s own settings; what they lead to is measured as code',
  },
];

/** What a person calls a PCR whose event has no better name: PC Client Platform Firmware Profile 1.06 section 3.3.4, UAPI Group. */
const PCR_NAMES: ReadonlyMap<number, string> = new Map([
  [0, 'firmware'],
  [1, 'firmware configuration'],
  [2, 'code of a device'],
  [3, 'configuration of a device'],
  [4, 'boot loader or kernel'],
  [5, 'partition table or boot loader settings'],
  [6, 'platform event'],
  [7, 'Secure Boot variable'],
  [8, 'command of the boot loader, or kernel command line'],
  [9, 'file read by the boot loader, initrd or load options'],
  [11, 'part of a unified kernel image'],
  [12, 'kernel command line or credential given by the boot loader'],
  [13, 'system extension'],
  [14, 'certificate of shim'],
  [15, 'machine identity'],
]);

export function isLearned({ name }: Pick<Artefact, 'name'>): boolean {
  return name.startsWith(LEARNED_PREFIX);
}

/** Of this machine and no other of its name: the digest of its id. */
export async function learnedImage(machine: { readonly id: string; readonly name: string }): Promise<Artefact> {
  return { name: `${LEARNED_PREFIX}${machine.name}`, digest: toHex(await digest('sha256', utf8(machine.id))) };
}

/**
 * What the log of a boot shows, as what is expected. `firmware` is what the host says that its firmware measures of itself:
 * it gives names, and PCR 0 must be its own. Throws ParseError, and EvidenceError where nothing can be learned from it.
 */
export async function learnedContent(
  image: Artefact,
  eventLog: Uint8Array,
  firmware: Pick<ReferenceContent, 'for' | 'events'>,
): Promise<ReferenceContent> {
  const measured = expectedOfLog(eventLog);
  const [own, wanted] = [measured, firmware.events].map((events) => digestsIn(events, CRTM_PCR));
  if (own !== wanted) {
    throw new EvidenceError(
      'reference-invalid',
      `the firmware is not ${firmware.for.firmware.name}: PCR 0 holds something else than it measures`,
    );
  }
  const events = measured.map((event): ExpectedEvent => ({ ...event, what: nameOf(event, firmware.events) }));
  const whole = events.map(({ pcr, digest: seen }) => `${String(pcr)} ${seen}\n`).join('');
  // The boot as a whole stands in the kernel's place: where it is another, the machine is another.
  const boot = { name: 'measured boot', digest: toHex(await digest('sha256', utf8(whole))) };
  return {
    for: { firmware: firmware.for.firmware, kernel: boot, image },
    events,
    packages: [],
  };
}

/** The policy for such a machine: its own system uses the PCRs that ours leaves alone, and some events change. */
export function policyFor(reference: Pick<SignedReference, 'for'> | ReferenceValues, policy: Policy): Policy {
  const image = 'for' in reference ? reference.for.image : reference.image;
  if (!isLearned(image)) return policy;
  const json = policyJson(policy);
  const { kind: _, ...rest } = json;
  return parsePolicy({
    ...rest,
    version: 2,
    evidence: policy.version === 2 ? policy.evidence : ['vtpm'],
    untouchedPcrs: [],
    rules: [...(policy.version === 2 ? policy.rules : []), ...HONEST_CHANGES],
  });
}

function nameOf(event: ExpectedEvent, known: readonly ExpectedEvent[]): string {
  const { pcr, digest: measured, what, type } = event;
  const same = known.find((other) => other.pcr === pcr && other.digest === measured);
  if (same !== undefined) return same.what;
  return type === 'EV_COMPACT_HASH' ? (PCR_NAMES.get(pcr) ?? `PCR ${String(pcr)}`) : what;
}

function digestsIn(events: readonly ExpectedEvent[], wanted: number): string {
  return events
    .filter(({ pcr }) => pcr === wanted)
    .map((event) => event.digest)
    .join();
}
