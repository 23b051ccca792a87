// The measurement list of a running machine, entry by entry: how far a quote speaks for it, and what in it is not of the
// image. The list is read after the quote was made, so it may run ahead of the quoted PCR 10, and never be behind it.
import { equalBytes, toHex } from '@ringwall/bytes';
import { ImaReplay, type ImaEntry, type ImaState } from '@ringwall/tpm';
import { fails, holds, type Answer } from '../checks.ts';
import { messageOf, short } from '../keys.ts';
import { bootAggregate, watchedDigest, type WatchBaseline } from './baseline.ts';
import { MAX_KEPT_STRAYS, MAX_SHOWN_PATH_CHARACTERS, type Stray, type WatchProgress } from './record.ts';
import type { RuntimeIndex } from './runtime-files.ts';

/** As the command line of the guest has it: another template could carry data that nobody looks at. */
const TEMPLATE = 'ima-ng';
const DIGEST_ALGORITHM = 'sha256';
const SHA256_BYTES = 32;
/** The search for an entry that was lost costs as many digests as half the square of this: a tenth of a second. */
const MAX_SEARCHED_ENTRIES = 256;
/** How far the list then may run ahead of the quote. */
const MAX_AHEAD_ENTRIES = 8;

export interface ReadList {
  /** Before the first entry, and after each; a quote may speak for any of them. */
  readonly steps: readonly WatchProgress[];
  readonly form: Answer;
  readonly template: Answer;
  /** The first entry, where it is among these. */
  readonly first: ImaEntry | undefined;
}

/** Reads on from where `from` stands. Only a list that goes on may end within an entry. */
export function readList(
  log: Uint8Array,
  context: { readonly from: WatchProgress; readonly more: boolean; readonly files: RuntimeIndex },
): ReadList {
  const { from, more, files } = context;
  const steps: WatchProgress[] = [from];
  let last = from;
  let first: ImaEntry | undefined;
  let template: Answer = holds(TEMPLATE);
  const replay = new ImaReplay({
    from: from.ima,
    onEntry: (entry) => {
      if (entry.index === 0) first = entry;
      if (template.ok) template = checkTemplate(entry);
      last = { ...withEntry(last, entry, files), ima: replay.state };
      steps.push(last);
    },
  });
  try {
    replay.push(log);
    if (!more) replay.end();
    return { steps, first, template, form: holds(`${last.ima.entries} entries`) };
  } catch (error) {
    return { steps, first, template, form: fails(`the list of what ran cannot be read: ${messageOf(error)}`) };
  }
}

/** list-start: boot_aggregate is the kernel's own digest of PCRs 0 to 9 before it measured anything. */
export async function checkStart(list: ReadList, from: WatchProgress, baseline: WatchBaseline): Promise<Answer> {
  if (from.ima.entries > 0) return holds('seen in an earlier answer');
  const { first } = list;
  if (first === undefined) return fails('the list of what ran is empty');
  const expected = await bootAggregate(baseline);
  const { digest, name } = first;
  if (name === 'boot_aggregate' && digest !== undefined && equalBytes(digest.value, expected)) {
    return holds(`boot_aggregate ${short(expected)}`);
  }
  // As the kernel writes it where it found no TPM when it started: it extends nothing, however long the TPM is there since.
  if (name === 'boot_aggregate' && digest?.value.every((byte) => byte === 0) === true) {
    return fails('the kernel of this boot measures nothing: it found its TPM too late. Start the machine again');
  }
  return fails('the list of what ran does not begin with the boot that was proven');
}

/**
 * The last place in the list that the quote speaks for. A quote has one digest over all its PCRs, so each place costs a
 * digest to try; it is sought from the end, where it nearly always is.
 */
export async function findQuoted(
  list: ReadList,
  quotedDigest: Uint8Array,
  baseline: WatchBaseline,
): Promise<WatchProgress | undefined> {
  for (const step of list.steps.toReversed()) {
    if (equalBytes(await watchedDigest(baseline, step.ima.sha256), quotedDigest)) return step;
  }
  return undefined;
}

/**
 * The same, where the TPM did not take one of these entries: Linux gives up on an extend after 750 ms, as on a host that is
 * overloaded, and goes on. The entry stands in the list all the same and is judged like the others, so that nothing can
 * be hidden by it: what PCR 10 has and the list has not is found as ever. From then on the PCR as it is counts.
 */
export async function findQuotedButOne(
  log: Uint8Array,
  list: ReadList,
  quotedDigest: Uint8Array,
  baseline: WatchBaseline,
): Promise<WatchProgress | undefined> {
  const { steps } = list;
  const start = steps[0]?.ima.bytes ?? 0;
  if (steps.length > MAX_SEARCHED_ENTRIES) return undefined;
  for (const [index, { ima }] of steps.entries()) {
    const lost = steps[index + 1];
    if (lost === undefined) return undefined;
    const states: ImaState[] = [];
    const replay = new ImaReplay({
      from: { ...ima, entries: lost.ima.entries, bytes: lost.ima.bytes },
      onEntry: () => void states.push(replay.state),
    });
    states.push(replay.state);
    replay.push(log.subarray(lost.ima.bytes - start));
    for (const state of states.slice(-MAX_AHEAD_ENTRIES)) {
      if (!equalBytes(await watchedDigest(baseline, state.sha256), quotedDigest)) continue;
      const step = steps.find((each) => each.ima.entries === state.entries);
      return step === undefined ? undefined : { ...step, ima: { ...step.ima, sha1: state.sha1, sha256: state.sha256 } };
    }
  }
  return undefined;
}

/** What somebody reads of a file that should not have run. */
export function describeStray({ path, sha256, kind }: Stray, files: RuntimeIndex): string {
  if (kind === 'changed') return `${path} was changed while it was measured: nobody knows what ran`;
  const did = /\.ko(\.[a-z0-9]+)?$/.test(path) ? 'was loaded' : 'ran';
  if (sha256 === '') return `${path} ${did}, and its SHA-256 was not measured`;
  const known = files.byPath.get(path);
  if (known === undefined) {
    return `${path} ${did}, which is not a file of the image ${files.image} (SHA-256 ${short(sha256)})`;
  }
  const origin = known.package === undefined ? '' : ` of ${known.package.name} ${known.package.version}`;
  return (
    `${path} ${did}, which is not the file${origin} of the image ${files.image} ` +
    `(SHA-256 ${short(sha256)}, expected ${short(known.sha256)})`
  );
}

function checkTemplate({ template, digest, index, violation }: ImaEntry): Answer {
  if (template !== TEMPLATE) return fails(`entry ${index} is of the template ${template}, expected ${TEMPLATE}`);
  if (violation || digest?.algorithm === DIGEST_ALGORITHM) return holds(TEMPLATE);
  return fails(`entry ${index} has a digest of ${digest?.algorithm ?? 'nothing'}, expected ${DIGEST_ALGORITHM}`);
}

function withEntry(
  before: WatchProgress,
  entry: ImaEntry,
  files: RuntimeIndex,
): Pick<WatchProgress, 'strays' | 'strayCount'> {
  const { strays, strayCount } = before;
  const stray = strayOf(entry, files);
  if (stray === undefined) return { strays, strayCount };
  return {
    strays: strays.length < MAX_KEPT_STRAYS ? [...strays, stray] : strays,
    strayCount: strayCount + 1,
  };
}

/** Undefined for a file of the image. */
export function strayOf({ index, name, digest, violation }: ImaEntry, files: RuntimeIndex): Stray | undefined {
  const path = shownPath(name);
  if (violation) return { path, sha256: '', kind: 'changed', index };
  const known = digest?.algorithm === DIGEST_ALGORITHM && digest.value.length === SHA256_BYTES;
  const sha256 = known ? toHex(digest.value) : '';
  // The first entry stands for the boot; `checkStart` judges it.
  if (index === 0 || files.bySha256.has(sha256)) return undefined;
  return { path, sha256, kind: 'unknown', index };
}

/** Printable ASCII of a path that somebody in the guest chose: it is written to logs and terminals. */
export function shownPath(path: string): string {
  return path.slice(0, MAX_SHOWN_PATH_CHARACTERS).replaceAll(/[^\x20-\x7e]/g, '?');
}
