// What ran since the boot, as a proof bundle has it, judged anew: the kernel's list against the quote that covers it, and
// each file of it against the list of the image that the reference values name. The same checks as the watch's
// (docs/protocols/watching.md), but for the two that only the asker can make: that the question was its own, and fresh.
import { toHex } from '@ringwall/bytes';
import { digest, ImaReplay } from '@ringwall/tpm';
import { fails, holds, type Answer } from './checks.ts';
import { imageDigestOf } from './image-digest.ts';
import { messageOf } from './keys.ts';
import type { ImaLayer } from './proof-layers.ts';
import type { Proof } from './proof.ts';
import type { ReferenceValues } from './reference.ts';
import type { Check } from './verdict.ts';
import type { Verified } from './verified.ts';
import type { VtpmEvidence } from './evidence.ts';
import { watchBaseline } from './watch/baseline.ts';
import { describeStrays, observe } from './watch/judge-watch.ts';
import { shownPath, strayOf } from './watch/measurements.ts';
import { startWatch, type Stray } from './watch/record.ts';
import { indexRuntimeFiles, parseRuntimeFiles, type RuntimeIndex } from './watch/runtime-files.ts';
import { WatchFindings } from './watch/watch-checks.ts';

/** One entry of the kernel's list: something was executed, mapped to be executed, or loaded. */
export interface RanFile {
  /** Printable, and cut; whoever made the file chose it. */
  readonly path: string;
  /** Empty where its SHA-256 was not measured. */
  readonly sha256: string;
  /** `changed`: it was changed while it was measured, so that nobody knows what ran. */
  readonly status: 'expected' | Stray['kind'];
  /** The package of the image's file, with its version, where it is known. */
  readonly package: string | undefined;
}

export interface RanVerdict {
  /** `unexpected`: proven, and something that ran is not of the image. `refused`: nothing of the list is proven. */
  readonly outcome: 'expected' | 'unexpected' | 'refused';
  /** Up to when; nothing is said of later. */
  readonly at: Date;
  /** Ids begin `ima-`. Empty where the boot that it goes on from does not hold. */
  readonly checks: readonly Check[];
  /** In the order in which they ran; empty where nothing of it is proven. */
  readonly files: readonly RanFile[];
  /** Sentences for people; empty unless `expected`. */
  readonly proven: readonly string[];
  /** Why it is not `expected`. */
  readonly reasons: readonly string[];
}

/** Of the watch's own checks, those that only whoever asked could make, and one that the bundle's parser has made. */
const ASKERS = ['question', 'fresh', 'size'] as const;
const IMAGE_TITLE = 'the list of what may run is that of the image that is expected';

/** Undefined where the bundle has no such part. `verified` is the boot that it must go on from, where that holds. */
export async function judgeImaOfProof(
  { challenge, ima }: Pick<Proof, 'challenge' | 'ima'>,
  boot: { readonly verified: Verified<VtpmEvidence> | undefined; readonly reference: ReferenceValues },
): Promise<RanVerdict | undefined> {
  if (ima === undefined) return undefined;
  const { at } = ima;
  const { verified, reference } = boot;
  const nothing = { outcome: 'refused', at, files: [], proven: [] } as const;
  if (verified === undefined) {
    return {
      ...nothing,
      checks: [],
      reasons: ['what ran was not judged: the boot that it goes on from does not hold'],
    };
  }
  const { answer, files } = await readImageFiles(ima, reference);
  const image = { id: 'ima-image', title: IMAGE_TITLE, ...answer };
  if (files === undefined) return { ...nothing, checks: [image], reasons: [answer.detail] };

  const findings = new WatchFindings();
  const observed = await observe(findings, {
    record: startWatch(await watchBaseline(verified, challenge)),
    question: { nonce: ima.nonce, machine: challenge.machine, boot: challenge.boot, from: ima.from },
    answer: { quote: ima.quote, quoteSignature: ima.quoteSignature, log: ima.log, more: false, noted: false },
    files,
  });
  const checks = [image, ...named(findings)];
  if (observed?.proven === undefined || !findings.holdsBut(...ASKERS, 'violations', 'files')) {
    return { ...nothing, checks, reasons: findings.failures() };
  }
  const { proven } = observed;
  const ran = filesOf(ima.log, proven.ima.entries, files);
  if (proven.strayCount > 0 || !findings.holdsBut(...ASKERS)) {
    return { ...nothing, outcome: 'unexpected', checks, files: ran, reasons: describeStrays(proven, files) };
  }
  const sentence = `all ${ran.length} files that ran until ${at.toISOString()} are of the image ${files.image}`;
  return { outcome: 'expected', at, checks, files: ran, proven: [sentence], reasons: [] };
}

/** ima-image: the reference names the image's digest, that the parts, and one of them the list. */
async function readImageFiles(
  { image, files }: ImaLayer,
  reference: ReferenceValues,
): Promise<{ readonly answer: Answer; readonly files?: RuntimeIndex }> {
  const { name, digest: expected } = reference.image;
  if ((await imageDigestOf(name, image)) !== expected) {
    return {
      answer: fails(`the parts of the image are not those of ${name} with the digest ${expected.slice(0, 12)}…`),
    };
  }
  if (toHex(await digest('sha256', files)) !== image.files) {
    return { answer: fails(`the list of what may run is not that of the image ${name}`) };
  }
  try {
    const list = parseRuntimeFiles(new TextDecoder('utf-8', { fatal: true }).decode(files));
    const answer = holds(`${list.files.length} files of ${name}, SHA-256 ${image.files.slice(0, 12)}…`);
    return { answer, files: indexRuntimeFiles(list) };
  } catch (error) {
    return { answer: fails(`the list of what may run cannot be read: ${messageOf(error)}`) };
  }
}

function named(findings: WatchFindings): readonly Check[] {
  return findings.checks().flatMap((check) => (isAskers(check.id) ? [] : [{ ...check, id: `ima-${check.id}` }]));
}

function isAskers(id: string): boolean {
  return ASKERS.some((asked) => asked === id);
}

/** The list was read before, to its end. */
function filesOf(log: Uint8Array, entries: number, files: RuntimeIndex): readonly RanFile[] {
  const ran: RanFile[] = [];
  const replay = new ImaReplay({
    onEntry: (entry) => {
      // The first entry stands for the boot.
      if (entry.index === 0 || entry.index >= entries) return;
      const stray = strayOf(entry, files);
      const sha256 = stray?.sha256 ?? toHex(entry.digest?.value ?? new Uint8Array());
      const from = files.bySha256.get(sha256)?.package;
      ran.push({
        path: shownPath(entry.name),
        sha256,
        status: stray?.kind ?? 'expected',
        package: from === undefined ? undefined : `${from.name} ${from.version}`,
      });
    },
  });
  replay.push(log);
  return ran;
}
