// All images of registries, layouts and archives, judged one by one; layers that they share are read once. What is kept of each is
// little, so that thousands fit.
import { RingwallError } from '@ringwall/api/errors';
import {
  namesOfImages,
  openImage,
  openLayerReader,
  finishersOfEachLayer,
  type StoredImage,
} from '@ringwall/host/images';
import {
  listRepositories,
  listTags,
  openRemoteImage,
  readCredentials,
  RegistryError,
  type SessionOptions,
} from '@ringwall/host/registry';
import {
  findAncestors,
  findingId,
  isVulnerabilityRule,
  OciError,
  parseReference,
  type Finding,
  type SurveyedImage,
  type SurveyFailure,
} from '@ringwall/oci';
import type { Invocation } from '../invocation.ts';
import { plainText } from '../terminal.ts';
import { cacheFolder, openVerdicts } from './caches.ts';
import { reading, usage } from './given.ts';
import { judgeFindings } from './judge-findings.ts';
import { platformOf } from './platform.ts';
import { namesOf } from './remote.ts';
import { scannerFor } from './scanners.ts';
import { namedCopy, signatureJudge } from './signatures.ts';
import { subjectKind } from './subject.ts';

/** A tag is a request or two; a registry of more is looked at part by part. */
export const MAX_TAGS = 5000;
/** Each holds an image's files in memory; their layers are read on all cores all the same. */
const PARALLEL = 3;

export interface Survey {
  readonly images: readonly SurveyedImage[];
  readonly failures: readonly SurveyFailure[];
  /** Tags beyond `MAX_TAGS`. */
  readonly left: boolean;
  /** What was not looked at, and why. */
  readonly notes: readonly string[];
}

/** An image that can be opened, under the name by which people know it. */
interface Candidate {
  readonly name: string;
  readonly open: () => Promise<StoredImage & Partial<Disposable>>;
}

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

/** Throws `RingwallError` where a subject cannot be listed; an image that cannot be judged is a failure of the survey. */
export async function surveyImages(
  invocation: Invocation,
  subjects: readonly string[],
  onStep: (step: string) => void,
): Promise<Survey> {
  const { signal } = new AbortController();
  const known = new Map<string, Mutable<SurveyedImage>>();
  const failures: SurveyFailure[] = [];
  const { scanner, notes } = await scannerFor(invocation);
  await using reader = openLayerReader({
    cacheFolder: cacheFolder(invocation, 'layers'),
    finishers: finishersOfEachLayer(),
    scanner,
    signal,
  });
  using verdicts = openVerdicts(invocation, { scanner: scanner?.id ?? '', vex: new Uint8Array(), imageDigest: '' });
  const judge = async (stored: StoredImage): Promise<readonly Finding[]> => {
    const before = verdicts?.get(stored);
    if (before !== undefined) return before;
    const image = await reader.inspect(stored);
    const findings = judgeFindings(invocation, image, { vex: [], imageDigest: '' });
    if (reader.isLasting(image)) verdicts?.put(stored, findings);
    return findings;
  };
  const candidates = listCandidates(invocation, subjects, signal);
  let tags = 0;
  let left = false;
  const surveyNext = async (): Promise<void> => {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- as many at once as there are such loops
      const next = await candidates.next();
      if (next.done === true) return;
      if (tags >= MAX_TAGS) {
        left = true;
        return;
      }
      tags += 1;
      const { value } = next;
      onStep(`${value.name} (${String(tags)})`);
      try {
        // oxlint-disable-next-line no-await-in-loop -- as above
        await survey(value, known, judge);
      } catch (error) {
        if (!(error instanceof OciError || error instanceof RegistryError)) throw error;
        failures.push({ name: value.name, reason: error.message });
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, surveyNext));
  const images = [...known.values()].map((image) => ({ ...image, names: sortNames(image.names) }));
  return { images, failures, left, notes };
}

/** Those that say a version first, so that no change of `latest` changes what an image is called. */
function sortNames([first, ...others]: SurveyedImage['names']): SurveyedImage['names'] {
  const isLatest = (name: string): number => (name.endsWith(':latest') ? 1 : 0);
  const [one = first, ...rest] = [first, ...others].toSorted(
    (a, b) => isLatest(a) - isLatest(b) || a.localeCompare(b, 'en'),
  );
  return [one, ...rest];
}

async function survey(
  { name, open }: Candidate,
  known: Map<string, Mutable<SurveyedImage>>,
  judge: (stored: StoredImage) => Promise<readonly Finding[]>,
): Promise<void> {
  const stored = await open();
  try {
    const digest = stored.digest === '' ? name : stored.digest;
    const before = known.get(digest);
    if (before !== undefined) {
      before.names = [...before.names, name];
      return;
    }
    const entry: Mutable<SurveyedImage> = {
      names: [name],
      digest,
      diffIds: stored.layers.map(({ diffId }) => diffId),
      created: stored.config.created,
      findings: [],
      guesses: findAncestors(stored, []).ancestors,
    };
    // Before it is read: another tag may lead to it meanwhile.
    known.set(digest, entry);
    try {
      entry.findings = (await judge(stored)).map((finding) => ({
        id: findingId(finding),
        severity: finding.severity,
        isVulnerability: isVulnerabilityRule(finding.rule),
        layer: finding.layer,
      }));
    } catch (error) {
      known.delete(digest);
      throw error;
    }
  } finally {
    stored[Symbol.dispose]?.();
  }
}

async function* listCandidates(
  invocation: Invocation,
  subjects: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<Candidate, void> {
  for (const subject of subjects) {
    const kind = subjectKind(invocation, subject);
    if (kind === 'image') yield* localCandidates(invocation, subject, signal);
    else if (kind === 'name') yield* remoteCandidates(invocation, subject, signal);
    else throw usage(`${subject} holds no images`, 'name a registry, a layout or an archive');
  }
}

async function* localCandidates(
  invocation: Invocation,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Candidate, void> {
  const names = reading(path, () => namesOfImages(path));
  if (names === undefined) throw new RingwallError('image-failed', `${path} holds no images`);
  if (names.length > 1 && invocation.values.has('as'))
    throw usage(
      `--as names one image, and ${path} holds ${String(names.length)}`,
      'name it in the layout, or scan each',
    );
  const judgeSigned = await signatureJudge(invocation);
  for (const image of names) {
    const open = async (): Promise<StoredImage & Partial<Disposable>> => {
      const opened = await openImage(path, { image, platform: platformOf(invocation), signal });
      if (opened === undefined) throw new OciError('malformed', 'is not there any more');
      if (judgeSigned === undefined) return opened;
      using kept = new DisposableStack();
      kept.use(opened);
      const { copy, name } = namedCopy(invocation, path, opened);
      const signed = await judgeSigned(copy, name, signal);
      if (signed.verdict === 'refused') throw new OciError('malformed', signed.reason);
      kept.move();
      return opened;
    };
    yield { name: image === '' ? path : image.includes('/') ? image : `${path}:${image}`, open };
  }
}

async function* remoteCandidates(
  invocation: Invocation,
  subject: string,
  signal: AbortSignal,
): AsyncGenerator<Candidate, void> {
  const { domain, prefix } = splitRegistry(subject);
  const find = readCredentials(invocation.environment);
  const plainHttp = new Set(namesOf(invocation, 'plain-http'));
  const judgeSigned = await signatureJudge(invocation);
  const session: SessionOptions = {
    domain,
    credentials: () => find(domain),
    plainHttp: plainHttp.has(domain),
  };
  for await (const repository of repositoriesOf(session, prefix, signal)) {
    for await (const tag of tagsOf(session, repository, signal)) {
      if (typeof tag !== 'string') {
        yield { name: `${domain}/${repository}`, open: () => Promise.reject(tag) };
        continue;
      }
      const name = `${domain}/${repository}:${tag}`;
      const open = async (): Promise<StoredImage> => {
        const reference = parseReference(name);
        const platform = platformOf(invocation);
        const image = await openRemoteImage(reference, { platform, signal, credentials: find, mirrors: [], plainHttp });
        const signed = await judgeSigned?.(image, { reference, isClaimed: false }, signal);
        if (signed?.verdict === 'refused') throw new OciError('malformed', signed.reason);
        return image;
      };
      yield { name, open };
    }
  }
}

/** One repository that shows itself to nobody is no reason to look at no other. */
async function* tagsOf(
  session: SessionOptions,
  repository: string,
  signal: AbortSignal,
): AsyncGenerator<string | RegistryError, void> {
  try {
    yield* listTags(session, repository, signal);
  } catch (error) {
    if (!(error instanceof RegistryError) || (error.code !== 'unauthorized' && error.code !== 'not-found')) throw error;
    yield error;
  }
}

/** A registry that does not list its repositories may still list the tags of one that is named. */
async function* repositoriesOf(
  session: SessionOptions,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<string, void> {
  try {
    for await (const name of listRepositories(session, signal))
      if (prefix === '' || name === prefix || name.startsWith(`${prefix}/`)) yield name;
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    const isClosed = error.code === 'unauthorized' || error.code === 'not-found';
    if (isClosed && prefix !== '') yield prefix;
    else if (isClosed)
      throw new RingwallError(
        'unauthorized',
        `${session.domain} does not list its repositories: ${plainText(error.message)}`,
        {
          cause: error,
          hint: `name one of them, as in ${session.domain}/acme/app`,
        },
      );
    else throw error;
  }
}

/** `registry.example`, or with the beginning of what is meant in it: `registry.example/acme`. */
function splitRegistry(subject: string): { readonly domain: string; readonly prefix: string } {
  const hasPath = subject.includes('/');
  // The name of a repository of that registry: only its form matters.
  const reference = reading(subject, () => parseReference(hasPath ? subject : `${subject}/x`));
  if (reference.tag !== undefined || reference.digest !== undefined)
    throw usage(`${subject} is one image`, 'name a registry, or a repository without a tag');
  const first = subject.split('/')[0] ?? '';
  if (reference.domain === 'docker.io' && !first.startsWith('docker.io'))
    throw usage(`${subject} names no registry`, 'as in registry.example, localhost:5000/acme, docker.io/acme/app');
  return { domain: reference.domain, prefix: hasPath ? reference.path : '' };
}
