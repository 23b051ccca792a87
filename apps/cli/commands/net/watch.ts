// `ringwall net watch`: what is being refused in a network, each second: who, whom, by what, why, and how often. The packets come as the
// kernel logs them; they are read here, by whoever asked, and by nothing that has rights.
import { once } from 'node:events';
import { RingwallError } from '@ringwall/api/errors';
import type { WatchBegin } from '@ringwall/api/packets';
import { RefusedLog, RefusedSummary, type DropReason, type RefusedRow } from '@ringwall/netpolicy';
import { chooseNetwork } from '../../network/choose-network.ts';
import { WHY_REFUSED } from '../../network/why-refused.ts';
import type { Invocation } from '../../invocation.ts';
import { plainText } from '../../terminal.ts';

const SHOW_MS = 1_000;
const ROWS_SHOWN = 20;
/** The line before the packets names each machine of the network. */
const MAX_BEGIN_BYTES: number = 1024 * 1024;

export async function run(invocation: Invocation): Promise<void> {
  const { out, err, json, values } = invocation;
  const [only, more] = invocation.arguments;
  if (more !== undefined) throw new RingwallError('bad-request', 'net watch takes one machine, or none');
  const seconds = secondsOf(values.get('seconds'));
  const { name } = await chooseNetwork(invocation);
  const { machines } = await invocation.withApi((api) => api.call('showNetwork', { params: { network: name } }));
  const owners = new Map(machines.flatMap((place) => place.addresses.map((address) => [address, place.name] as const)));
  if (only !== undefined && !machines.some((place) => place.name === only)) {
    throw new RingwallError('not-found', `the network ${name} has no machine ${JSON.stringify(only)}`);
  }
  const { socket, head } = await invocation.withApi((api) => api.openRefused(name));
  if (!json) err.line(err.paint('dim', `What ${name} refuses, each second. ctrl-c ends it.`));
  const [log, summary] = [new RefusedLog(), new RefusedSummary()];
  let cables: ReadonlyMap<number, string> | undefined;
  let pending = Buffer.alloc(0);
  const take = (bytes: Uint8Array): void => {
    let rest = bytes;
    if (cables === undefined) {
      pending = Buffer.concat([pending, bytes]);
      const end = pending.indexOf('\n');
      if (end === -1 && pending.length > MAX_BEGIN_BYTES)
        throw new RingwallError('internal', 'the stream has no beginning');
      if (end === -1) return;
      const begin: WatchBegin = JSON.parse(pending.toString('utf8', 0, end));
      cables = new Map(begin.cables.map(({ index, machine }) => [index, machine]));
      rest = pending.subarray(end + 1);
    }
    for (const packet of log.push(rest)) summary.add(packet);
  };
  const show = (): void => {
    const { rows, others } = summary.take();
    const named = rows
      .map((row) => nameRow(row, cables, owners))
      .filter(({ machine, from, to }) => only === undefined || [machine, from, to].includes(only));
    const at = new Date();
    for (const row of json ? named : named.slice(0, ROWS_SHOWN)) {
      out.line(json ? JSON.stringify({ at: at.toISOString(), ...row }) : rowText(row, at, invocation));
    }
    const hidden = named.length - ROWS_SHOWN;
    if (!json && (hidden > 0 || others > 0))
      out.line(out.paint('dim', `  and ${String(Math.max(0, hidden) + others)} more`));
  };
  const failed = Promise.withResolvers<never>();
  const feed = (bytes: Uint8Array): void => {
    try {
      take(bytes);
    } catch (error) {
      failed.reject(error);
    }
  };
  socket.on('data', feed);
  if (head.length > 0) feed(head);
  socket.resume();
  const timer = setInterval(show, SHOW_MS);
  const end = seconds === undefined ? undefined : setTimeout(() => socket.destroy(), seconds * 1_000);
  try {
    await Promise.race([once(socket, 'close'), failed.promise]);
  } finally {
    clearInterval(timer);
    clearTimeout(end);
    socket.destroy();
  }
  show();
}

interface NamedRow {
  /** Whose cable it came by. */
  readonly machine: string;
  readonly from: string;
  readonly to: string;
  readonly service: string;
  readonly reason: DropReason;
  /** The rule that denies it, where that has `log`. */
  readonly rule?: string;
  readonly packets: number;
}

function nameRow(
  { interfaceIndex, from, to, ...row }: RefusedRow,
  cables: ReadonlyMap<number, string> | undefined,
  owners: ReadonlyMap<string, string>,
): NamedRow {
  const name = (address: string): string => owners.get(address) ?? address;
  return { machine: cables?.get(interfaceIndex) ?? '', from: name(from), to: name(to), ...row };
}

function rowText(row: NamedRow, at: Date, { out }: Invocation): string {
  const { machine, from, to, service, reason, rule, packets } = row;
  const claims = from === machine || from === '' ? '' : ` as ${from}`;
  const who = `${machine === '' ? '?' : machine}${claims}`;
  const way = to === '' ? who : `${who} ${out.sign('→', '->')} ${to}`;
  const count = packets === 1 ? '' : `${String(packets)}×  `;
  const why = rule === undefined ? WHY_REFUSED[reason] : `${rule} denies it`;
  const time = out.paint('dim', at.toISOString().slice(11, 19));
  return `${time}  ${plainText(way)}  ${plainText(service)}  ${count}${out.paint('red', why)}`;
}

function secondsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,4}$/.test(text))
    throw new RingwallError('bad-request', `--seconds ${JSON.stringify(text)} is no number of seconds`);
  return Number(text);
}
