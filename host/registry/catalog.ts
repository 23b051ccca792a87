// What a registry has: its repositories, and the tags of one. OCI Distribution Specification 1.1, "Listing Tags"; Distribution's "Catalog".
// Both come in pages, each naming the next; whoever answers may name pages without end.
import { MAX_DOCUMENT_BYTES, OciError, parseReference } from '@ringwall/oci';
import { readBody } from './http-get.ts';
import { isRecord } from './json.ts';
import { RegistryError } from './registry-error.ts';
import { openSession, type Session, type SessionOptions } from './session.ts';

/** As many as most registries give at once. */
const PAGE_ENTRIES = 1000;
/** A million repositories. */
const MAX_PAGES = 1000;
/** What cosign and the referrers' fallback keep beside images. */
const ATTACHMENT_TAG = /^sha256-[0-9a-f]{64}(?:\.\w+)?$/;

/** Names of repositories, as the registry has them. Throws RegistryError: many registries show them to nobody, or to few. */
export async function* listRepositories(options: SessionOptions, signal: AbortSignal): AsyncGenerator<string, void> {
  const session = openSession(options, 'registry:catalog:*');
  for await (const name of listed(session, '_catalog', 'repositories', signal)) {
    // It becomes a part of what is asked for next.
    if (!isReference(`${options.domain}/${name}`))
      throw new RegistryError('refused', `${options.domain} lists “${name.slice(0, 100)}”, which is no repository`);
    yield name;
  }
}

/** Tags of images; those of what is attached to images are left out. Throws RegistryError. */
export async function* listTags(
  options: SessionOptions,
  repository: string,
  signal: AbortSignal,
): AsyncGenerator<string, void> {
  const session = openSession(options, `repository:${repository}:pull`);
  for await (const tag of listed(session, `${repository}/tags/list`, 'tags', signal)) {
    if (!isReference(`${options.domain}/${repository}:${tag}`))
      throw new RegistryError('refused', `${options.domain} lists “${tag.slice(0, 100)}”, which is no tag`);
    if (!ATTACHMENT_TAG.test(tag)) yield tag;
  }
}

async function* listed(
  session: Session,
  path: string,
  key: 'repositories' | 'tags',
  signal: AbortSignal,
): AsyncGenerator<string, void> {
  const limits = { maxBytes: MAX_DOCUMENT_BYTES, stallMs: session.stallMs };
  const { pathname } = session.url(path);
  const seen = new Set<string>();
  let next: string | undefined = `${path}?n=${String(PAGE_ENTRIES)}`;
  for (let page = 0; next !== undefined; page += 1) {
    if (page >= MAX_PAGES || seen.has(next))
      throw new RegistryError('refused', `${session.domain} lists ${key} without end`);
    seen.add(next);
    // oxlint-disable-next-line no-await-in-loop -- each page names the next
    const response = await session.get(next, {}, signal);
    // oxlint-disable-next-line no-await-in-loop -- as above
    const bytes = await readBody(response, limits, `list of ${key}`);
    const names = namesOf(bytes, key, session.domain);
    yield* names;
    next = nextPage(response.headers.link, session, path, pathname);
  }
}

function namesOf(bytes: Uint8Array, key: 'repositories' | 'tags', domain: string): readonly string[] {
  try {
    const document: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    // A repository that lost all of its tags says null.
    const names: unknown = isRecord(document) ? (document[key] ?? []) : undefined;
    if (Array.isArray(names) && names.every((name): name is string => typeof name === 'string')) return names;
  } catch {
    // Said below.
  }
  throw new RegistryError('refused', `${domain} answers with no list of ${key}`);
}

/** RFC 8288. Of the same list only: another address would get our login. */
function nextPage(
  header: string | string[] | undefined,
  session: Session,
  path: string,
  pathname: string,
): string | undefined {
  const text = (Array.isArray(header) ? header[0] : header) ?? '';
  const target = /<(?<target>[^<>]{1,4096})>\s*;\s*rel="?next"?/i.exec(text)?.groups?.['target'];
  if (target === undefined) return undefined;
  const base = session.url(path);
  const url = URL.canParse(target, base) ? new URL(target, base) : undefined;
  if (url?.origin !== base.origin || url.pathname !== pathname)
    throw new RegistryError('refused', `${session.domain} goes on with its list elsewhere`);
  return `${path}${url.search}`;
}

function isReference(text: string): boolean {
  try {
    parseReference(text);
    return true;
  } catch (error) {
    if (error instanceof OciError) return false;
    throw error;
  }
}
