// nftables, driven by its JSON (libnftables-json(5)): a batch is applied whole or not at all. Which command it was that nft would not
// take, its JSON mode does not say; it is found by trying shorter batches without applying them.
import { RingwallError } from '@ringwall/api/errors';
import type { NftCommand } from '@ringwall/netpolicy';
import type { NamespaceRun } from './namespace.ts';

const NFT = '/usr/sbin/nft';
/** nft opens its input anew by name, which a pipe can take; what Node gives a child is a socket, which cannot. */
const THROUGH_A_PIPE = ['/bin/sh', '-c', 'cat | "$0" "$@" -f -'] as const;
/** A batch that fits in one argument (MAX_ARG_STRLEN of Linux is 128 KiB) spares two processes; there is nothing secret in it. */
const MAX_ARGUMENT_BYTES: number = 64 * 1024;
/** 65,536 machines load in some seconds; more is a kernel that hangs. */
const NFT_TIMEOUT_MS = 60_000;
/** A listing with all elements of as many machines. */
const MAX_LISTING_BYTES: number = 64 * 1024 * 1024;
/** How much of nft's own words, or of the refused command, an error repeats. */
const SHOWN_CHARACTERS = 300;

/** Applies the commands as one batch. Refused, nothing has changed, and the error names the command. */
export async function applyBatch(inside: NamespaceRun, commands: readonly NftCommand[]): Promise<void> {
  if (commands.length === 0) return;
  const refusal = await submit(inside, commands, false);
  if (refusal === undefined) return;
  const index = await firstRefused(inside, commands);
  const command = commands[index];
  const place = command === undefined ? 'the batch as a whole' : `command ${index + 1} of ${commands.length}`;
  throw new RingwallError('internal', `nft refuses ${place}: ${refusal}: ${shown(JSON.stringify(command ?? ''))}`, {
    hint: 'the rules that stood before are still in force',
  });
}

/** What stands in the namespace; `terse` leaves the elements of sets out. */
export async function listRules(inside: NamespaceRun, terse: boolean): Promise<readonly unknown[]> {
  const argv = [NFT, '-j', ...(terse ? ['-t'] : []), 'list', 'ruleset'];
  const result = await inside(argv, { timeoutMs: NFT_TIMEOUT_MS, maxOutputBytes: MAX_LISTING_BYTES });
  if (result.code !== 0)
    throw new RingwallError('internal', `nft cannot list rules: ${shown(result.stderr.toString())}`);
  const { nftables } = Object(JSON.parse(result.stdout.toString()));
  if (!Array.isArray(nftables)) throw new RingwallError('internal', 'nft lists no rules');
  return nftables;
}

async function submit(
  inside: NamespaceRun,
  commands: readonly NftCommand[],
  dry: boolean,
): Promise<string | undefined> {
  const input = JSON.stringify({ nftables: commands });
  const nft = [NFT, ...(dry ? ['-c'] : []), '-j'];
  const options = { timeoutMs: NFT_TIMEOUT_MS, env: { PATH: '/usr/bin:/bin' } };
  const result = await (input.length > MAX_ARGUMENT_BYTES
    ? inside([...THROUGH_A_PIPE, ...nft], { ...options, input })
    : inside([...nft, input], options));
  if (result.code === 0) return undefined;
  const said = result.stderr.toString().trim();
  return shown(said === '' ? `status ${result.code}` : said);
}

/** The shortest beginning of the batch that is refused ends with the command at fault; all of them where none is alone. */
async function firstRefused(inside: NamespaceRun, commands: readonly NftCommand[]): Promise<number> {
  let [good, bad] = [0, commands.length];
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1;
    if ((await submit(inside, commands.slice(0, middle), true)) === undefined) good = middle;
    else bad = middle;
  }
  return (await submit(inside, commands.slice(0, bad), true)) === undefined ? commands.length : bad - 1;
}

function shown(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS)}…` : line;
}
