// The host of a registry as a reference names it: DNS name, IPv4 or IPv6 address, and port, in one spelling each.
// distribution/reference grammar (`domain`), RFC 1035 for lengths, RFC 5952 for IPv6, RFC 5891 for other alphabets.
import { decodePunycode, encodePunycode, MAX_LABEL_CHARACTERS } from './punycode.ts';
import { refused, shown } from './refused.ts';
import { mixedScripts } from './scripts.ts';

/** A name in DNS has 255 octets with their lengths (RFC 1035 section 2.3.4): 253 characters. */
const MAX_HOST_CHARACTERS = 253;
const MAX_PORT = 65_535;

const LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
/** What a URL parser takes for a part of an IPv4 address: `127.1` and `0x7f.1` are this very host. */
const NUMBER = /^(?:\d+|0[xX][0-9A-Fa-f]*)$/;
const IPV6 = /^\[[0-9A-Fa-f:]+\]$/;
const PORT = /^\d{1,5}$/;
const ACE_PREFIX = 'xn--';
/** Characters that are not seen, or turn others round: never part of an honest name. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zs}\p{Zl}\p{Zp}]/u;

/**
 * `Docker.IO:443` → `docker.io:443`; `bücher.example` → `xn--bcher-kva.example`. Throws OciError `reference`.
 * A name of one label keeps its case: the upper case is what makes it a host (`Docker/docker`).
 */
export function normaliseDomain(domain: string): string {
  const colon = domain.endsWith(']') ? -1 : domain.lastIndexOf(':');
  const host = colon < 0 ? domain : domain.slice(0, colon);
  return normaliseHost(host) + (colon < 0 ? '' : `:${checkedPort(domain.slice(colon + 1))}`);
}

/** The host with its Unicode letters, to show to a person or to compare by shape. */
export function unicodeHost(host: string): string {
  return host
    .split('.')
    .map((label) => (label.startsWith(ACE_PREFIX) ? (decodePunycode(label.slice(ACE_PREFIX.length)) ?? label) : label))
    .join('.');
}

function normaliseHost(host: string): string {
  if (host.startsWith('[')) return normaliseIpv6(host);
  const labels = host.split('.').map((label) => normaliseLabel(label));
  const lowerCase = labels.map((label) => label.toLowerCase());
  const normal = labels.length > 1 || lowerCase[0] === 'localhost' ? lowerCase.join('.') : labels.join('.');
  if (normal.length > MAX_HOST_CHARACTERS) {
    throw refused(`host has ${normal.length} characters, at most ${MAX_HOST_CHARACTERS}`);
  }
  if (NUMBER.test(labels.at(-1) ?? '') && !IPV4.test(host)) {
    throw refused(`host ${shown(host)} would be read as an IPv4 address, and is not written as one`);
  }
  return normal;
}

function normaliseLabel(label: string): string {
  const lowerCase = label.toLowerCase();
  if (lowerCase.startsWith(ACE_PREFIX)) {
    const decoded = decodePunycode(lowerCase.slice(ACE_PREFIX.length));
    if (decoded === undefined || !/\P{ASCII}/u.test(decoded))
      throw refused(`host label ${shown(label)} is no punycode`);
    checkLetters(decoded);
    return lowerCase;
  }
  if (/\P{ASCII}/u.test(label)) {
    checkLetters(label);
    const encoded = encodePunycode(label);
    if (encoded === undefined || encoded.length + ACE_PREFIX.length > MAX_LABEL_CHARACTERS) {
      throw refused(`host label is longer than ${MAX_LABEL_CHARACTERS} characters in punycode`);
    }
    return ACE_PREFIX + encoded;
  }
  if (!LABEL.test(label)) throw refused(`host label “${shown(label)}” is none of DNS`);
  if (label.length > MAX_LABEL_CHARACTERS) {
    throw refused(`host label has ${label.length} characters, at most ${MAX_LABEL_CHARACTERS}`);
  }
  return label;
}

function checkLetters(label: string): void {
  if (UNSEEN.test(label)) throw refused('host label has a character that nobody sees');
  // Full-width letters, ligatures, other full stops and upper case are second spellings of a name.
  if (label !== label.normalize('NFKC') || label !== label.toLowerCase()) {
    throw refused(`host label “${shown(label)}” is not in its one spelling (lower case, NFKC)`);
  }
  if (/(?=\p{ASCII})[^a-z0-9-]/u.test(label)) throw refused(`host label “${shown(label)}” is none of DNS`);
  const scripts = mixedScripts(label);
  if (scripts !== undefined) throw refused(`host label “${shown(label)}” mixes ${scripts.join(' and ')} letters`);
}

function normaliseIpv6(host: string): string {
  if (!IPV6.test(host)) throw refused(`host ${shown(host)} is no IPv6 address`);
  const url = URL.parse(`http://${shown(host)}/`);
  if (url === null) throw refused(`host ${shown(host)} is no IPv6 address`);
  return url.hostname;
}

function checkedPort(port: string): string {
  const value = Number(port);
  if (!PORT.test(port) || value === 0 || value > MAX_PORT)
    throw refused(`port “${shown(port)}”, expected 1..${MAX_PORT}`);
  return String(value);
}
