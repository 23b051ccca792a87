// What ran on a host, entry by entry of IMA's list: how far the quote speaks for it, which files of the reference were
// measured and with which content, and what else ran. A path in the list is the kernel's word for where a file lay, a
// digest is what it was: files are known by their digests, and a known path with another digest is an alteration.
import { concatBytes, equalBytes, KnownBytes, toHex } from '@ringwall/bytes';
import { digest, ImaReplay, pcrDigest, type ImaEntry, type ImaState } from '@ringwall/tpm';
import { fails, holds, type Answer } from '../checks.ts';
import { messageOf, short } from '../keys.ts';
import { AGGREGATED_PCRS, IMA_PCR, type HostPolicy } from './policy.ts';
import type { HostFile } from './reference.ts';

/** Entries of keys, command lines and policies: no file, so none that is known. */
const BUFFER_TEMPLATE = 'ima-buf';
const TEMPLATES: ReadonlySet<string> = new Set(['ima-ng', 'ima-sig', BUFFER_TEMPLATE]);
const DIGEST_ALGORITHM = 'sha256';
const SHA256_BYTES = 32;
/** More names help nobody; all are counted. */
const MAX_SHOWN = 32;
const MAX_SHOWN_PATH_CHARACTERS = 200;

/** An entry as far as it is judged. */
interface MeasuredFile {
  readonly index: number;
  readonly path: string;
  /** Hexadecimal; empty where the entry names no file by SHA-256. */
  readonly sha256: string;
  readonly violation: boolean;
}

export interface HostList {
  readonly form: Answer;
  readonly template: Answer;
  readonly first: ImaEntry | undefined;
  readonly entries: readonly MeasuredFile[];
  /** PCR 10 after as many entries. */
  readonly states: readonly ImaState[];
}

/** What ran, for people: the same counts that a report shows. */
export interface HostRan {
  /** Entries that the quote speaks for. */
  readonly entries: number;
  /** Files of the reference that were measured with an expected content. */
  readonly known: number;
  readonly otherCount: number;
  /** The first of the others, printable: each path with the SHA-256 digest that was measured. */
  readonly others: readonly { readonly path: string; readonly sha256: string }[];
}

/** While many machines start on a host its answer is judged with each. Some 5 MiB each, at their limit. */
const MAX_KNOWN_LISTS = 8;
const KNOWN = new KnownBytes<HostList>(MAX_KNOWN_LISTS);

/** `hint` tells hosts apart whose lists end alike: the attestation key. */
export function readHostList(log: Uint8Array, hint: Uint8Array): HostList {
  const known = KNOWN.get(log, hint);
  if (known !== undefined) return known;
  const list = readAnew(log);
  KNOWN.set(log, list, hint);
  return list;
}

function readAnew(log: Uint8Array): HostList {
  const entries: MeasuredFile[] = [];
  let first: ImaEntry | undefined;
  let template: Answer = holds('SHA-256');
  const replay = new ImaReplay({
    onEntry: (entry) => {
      if (entry.index === 0) first = entry;
      if (template.ok && !TEMPLATES.has(entry.template)) {
        template = fails(`entry ${entry.index} is of the template ${shown(entry.template)}, which names no digest`);
      }
      entries.push(measured(entry));
      states.push(replay.state);
    },
  });
  const states: ImaState[] = [replay.state];
  try {
    replay.push(log);
    replay.end();
    return { form: holds(`${entries.length} entries`), template, first, entries, states };
  } catch (error) {
    const form = fails(`the list of what ran cannot be read: ${messageOf(error)}`);
    return { form, template, first, entries, states };
  }
}

/** host-ima-start */
export async function checkHostStart(list: HostList, pcrs: ReadonlyMap<number, Uint8Array>): Promise<Answer> {
  const { first } = list;
  if (first === undefined) return fails('the list of what ran is empty: this kernel measures nothing');
  const values = AGGREGATED_PCRS.map((pcr) => pcrs.get(pcr) ?? new Uint8Array(SHA256_BYTES));
  const expected = await digest('sha256', concatBytes(...values));
  if (first.name === 'boot_aggregate' && first.digest !== undefined && equalBytes(first.digest.value, expected)) {
    return holds(`boot_aggregate ${short(expected)}`);
  }
  return fails('the list of what ran does not begin with this boot');
}

/**
 * How many entries the quote speaks for; undefined where it speaks for none of the states. It was made before the list
 * was read, so the list may run ahead; it is sought from the end, where it nearly always is.
 */
export async function findQuotedState(
  list: HostList,
  pcrs: ReadonlyMap<number, Uint8Array>,
  context: { readonly policy: HostPolicy; readonly quotedDigest: Uint8Array },
): Promise<ImaState | undefined> {
  const values = new Map(pcrs);
  for (const state of list.states.toReversed()) {
    values.set(IMA_PCR, state.sha256);
    if (equalBytes(await pcrDigest(values, context.policy.pcrs), context.quotedDigest)) return state;
  }
  return undefined;
}

export interface FileAnswers {
  readonly violations: Answer;
  readonly ran: Answer;
  readonly unaltered: Answer;
  readonly others: Answer;
  readonly summary: HostRan;
}

/** host-ima-violations and the checks of files, over the first `count` entries. */
export function judgeFiles(
  list: HostList,
  count: number,
  context: { readonly files: readonly HostFile[]; readonly policy: HostPolicy },
): FileAnswers {
  const { files, policy } = context;
  // The first entry stands for the boot.
  const entries = list.entries.slice(0, count).filter(({ index }) => index > 0);
  const digests = new Set(files.map(({ sha256 }) => sha256));
  const byPath = new Map(files.map((file) => [file.path, file]));
  const seen = new Set(entries.map(({ sha256 }) => sha256));
  const strange = entries.filter(({ sha256, violation }) => !violation && !digests.has(sha256));
  const altered = strange.filter(({ path }) => byPath.has(path));
  const others = strange.filter(({ path }) => !byPath.has(path));
  const summary: HostRan = {
    entries: entries.length,
    known: new Set(files.filter(({ sha256 }) => seen.has(sha256)).map(({ path }) => path)).size,
    otherCount: others.length,
    others: others.slice(0, MAX_SHOWN).map(({ path, sha256 }) => ({ path: shown(path), sha256 })),
  };
  return {
    violations: checkViolations(entries),
    ran: checkRan(files, seen),
    unaltered: checkUnaltered(altered, byPath),
    others: checkOthers(summary, policy),
    summary,
  };
}

function checkViolations(entries: readonly MeasuredFile[]): Answer {
  const violations = entries.filter(({ violation }) => violation);
  const [first] = violations;
  if (first === undefined) return holds('none');
  return fails(`${violations.length} files were changed while they were measured, ${shown(first.path)} first`);
}

/** By path: a file with several allowed contents has run where one of them has. */
function checkRan(files: readonly HostFile[], seen: ReadonlySet<string>): Answer {
  const required = files.filter((file) => file.required);
  const paths = new Set(required.map(({ path }) => path));
  const ran = new Set(required.filter(({ sha256 }) => seen.has(sha256)).map(({ path }) => path));
  const [missing, ...more] = [...paths].filter((path) => !ran.has(path));
  if (missing === undefined) return holds(`${paths.size} files`);
  const others = more.length === 0 ? '' : `, and ${more.length} more`;
  return fails(`${shown(missing)}${others} was never measured on this host with an expected content`);
}

function checkUnaltered(altered: readonly MeasuredFile[], byPath: ReadonlyMap<string, HostFile>): Answer {
  const [first, ...others] = altered;
  if (first === undefined) return holds('none');
  const known = byPath.get(first.path);
  const origin = known?.package === undefined ? '' : ` of ${known.package}`;
  const more = others.length === 0 ? '' : `; and ${others.length} more`;
  return fails(
    `${shown(first.path)} ran on the host, and is not the file${origin} that is expected ` +
      `(SHA-256 ${short(first.sha256)}, expected ${short(known?.sha256 ?? '')})${more}`,
  );
}

function checkOthers({ otherCount, others }: HostRan, policy: HostPolicy): Answer {
  if (otherCount === 0) return holds('nothing else ran');
  if (policy.others === 'show') return holds(`${otherCount} other files ran, which the policy only shows`);
  const [first] = others;
  const more = otherCount === 1 ? '' : `; and ${otherCount - 1} more`;
  return fails(`${first?.path ?? ''} ran on the host, which is not in its reference${more}`);
}

function measured({ index, name, template, digest: found, violation }: ImaEntry): MeasuredFile {
  const isFile = template !== BUFFER_TEMPLATE;
  const known = isFile && found?.algorithm === DIGEST_ALGORITHM && found.value.length === SHA256_BYTES;
  return { index, path: name, sha256: known ? toHex(found.value) : '', violation };
}

/** Printable ASCII of a path that somebody on the host chose: it is written to logs and terminals. */
function shown(path: string): string {
  return path.slice(0, MAX_SHOWN_PATH_CHARACTERS).replaceAll(/[^\x20-\x7e]/g, '?');
}
