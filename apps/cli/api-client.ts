// The API of ringwalld as typed calls. The types hold every method and path to the contract in @ringwall/api, which
// itself stays out of the bundle: its schemas would cost more to load than a command takes.
import type { HTTP_ROUTES, HttpRouteName, Operation } from '@ringwall/api';
import { IMPORT_PROTOCOL } from '@ringwall/api/disk-stream';
import { RingwallError, type ErrorCode } from '@ringwall/api/errors';
import type { Socket } from 'node:net';
import { HttpExchange, requestText } from './http.ts';

type Routes = typeof HTTP_ROUTES;

/** The routes that the command line uses, checked against the contract by the compiler and by api-client.test.ts. */
export const ROUTES = {
  health: { method: 'get', path: '/v1/health' },
  host: { method: 'get', path: '/v1/host' },
  listImages: { method: 'get', path: '/v1/images' },
  buildImage: { method: 'post', path: '/v1/images/{image}/build' },
  listMachines: { method: 'get', path: '/v1/machines' },
  createMachine: { method: 'post', path: '/v1/machines' },
  showMachine: { method: 'get', path: '/v1/machines/{machine}' },
  startMachine: { method: 'post', path: '/v1/machines/{machine}/start' },
  stopMachine: { method: 'post', path: '/v1/machines/{machine}/stop' },
  removeMachine: { method: 'delete', path: '/v1/machines/{machine}' },
  readmitMachine: { method: 'post', path: '/v1/machines/{machine}/readmit' },
  rotateRootKey: { method: 'post', path: '/v1/broker/rotate-root-key' },
  rotateMachineKey: { method: 'post', path: '/v1/machines/{machine}/rotate-key' },
  readErasure: { method: 'get', path: '/v1/erasures/{machine}' },
  machineLogs: { method: 'get', path: '/v1/machines/{machine}/logs' },
  machineProof: { method: 'get', path: '/v1/machines/{machine}/proof' },
  machineEar: { method: 'get', path: '/v1/machines/{machine}/ear' },
  machineWhy: { method: 'get', path: '/v1/machines/{machine}/why' },
  listReferences: { method: 'get', path: '/v1/references' },
  buildReference: { method: 'post', path: '/v1/images/{image}/reference' },
  hostReference: { method: 'post', path: '/v1/host/reference' },
  diffReference: { method: 'post', path: '/v1/references/diff' },
  tryReference: { method: 'post', path: '/v1/references/try' },
  acceptReference: { method: 'post', path: '/v1/references/accept' },
  listDisks: { method: 'get', path: '/v1/disks' },
  importDisk: { method: 'post', path: '/v1/disks' },
  diskContents: { method: 'get', path: '/v1/disks/{disk}/contents' },
  removeDisk: { method: 'delete', path: '/v1/disks/{disk}' },
  readDiskErasure: { method: 'get', path: '/v1/disk-erasures/{disk}' },
  labelMachine: { method: 'post', path: '/v1/machines/{machine}/labels' },
  listNetworks: { method: 'get', path: '/v1/networks' },
  createNetwork: { method: 'post', path: '/v1/networks' },
  showWayOut: { method: 'get', path: '/v1/way-out' },
  listPeers: { method: 'get', path: '/v1/networks/{network}/peers' },
  exportPeer: { method: 'post', path: '/v1/networks/{network}/peers/export' },
  importPeer: { method: 'post', path: '/v1/networks/{network}/peers' },
  removePeer: { method: 'delete', path: '/v1/networks/{network}/peers/{host}' },
  showNetwork: { method: 'get', path: '/v1/networks/{network}' },
  removeNetwork: { method: 'delete', path: '/v1/networks/{network}' },
  addRule: { method: 'post', path: '/v1/networks/{network}/rules' },
  removeRule: { method: 'delete', path: '/v1/networks/{network}/rules/{rule}' },
  mapNetwork: { method: 'get', path: '/v1/networks/{network}/map' },
  explainReach: { method: 'get', path: '/v1/reach' },
  exportPolicy: { method: 'get', path: '/v1/policy' },
  planPolicy: { method: 'post', path: '/v1/policy/plan' },
  applyPolicy: { method: 'post', path: '/v1/policy/apply' },
  listSnapshots: { method: 'get', path: '/v1/snapshots' },
  takeSnapshot: { method: 'post', path: '/v1/machines/{machine}/snapshots' },
  restoreMachine: { method: 'post', path: '/v1/machines/{machine}/restore' },
  cloneMachine: { method: 'post', path: '/v1/machines/{machine}/clones' },
  planBackups: { method: 'post', path: '/v1/machines/{machine}/backups' },
  checkSnapshot: { method: 'post', path: '/v1/snapshots/{snapshot}/check' },
  listApprovals: { method: 'get', path: '/v1/approvals' },
  showApproval: { method: 'get', path: '/v1/approvals/{approval}' },
  signApproval: { method: 'post', path: '/v1/approvals/{approval}/signatures' },
  changePerson: { method: 'post', path: '/v1/approvals/people' },
  requireApproval: { method: 'post', path: '/v1/machines/{machine}/export-approval' },
  hostRecipient: { method: 'get', path: '/v1/host/recipient' },
  exportSnapshot: { method: 'post', path: '/v1/snapshots/{snapshot}/exports' },
  snapshotContents: { method: 'get', path: '/v1/snapshots/{snapshot}/contents' },
  beginImport: { method: 'post', path: '/v1/imports' },
  importContents: { method: 'get', path: '/v1/imports/{snapshot}/contents' },
  listTemplates: { method: 'get', path: '/v1/templates' },
  holdTemplate: { method: 'post', path: '/v1/snapshots/{snapshot}/template' },
  releaseTemplate: { method: 'delete', path: '/v1/snapshots/{snapshot}/template' },
  removeSnapshot: { method: 'delete', path: '/v1/snapshots/{snapshot}' },
  showMirror: { method: 'get', path: '/v1/networks/{network}/mirror' },
  setMirror: { method: 'post', path: '/v1/networks/{network}/mirror' },
  networkCounters: { method: 'get', path: '/v1/networks/{network}/counters' },
  networkRefused: { method: 'get', path: '/v1/networks/{network}/refused' },
  machineCapture: { method: 'get', path: '/v1/machines/{machine}/capture' },
  machineConsole: { method: 'get', path: '/v1/machines/{machine}/console' },
  operationEvents: { method: 'get', path: '/v1/operations/{operation}/events' },
} as const satisfies { [Name in HttpRouteName]?: Pick<Routes[Name], 'method' | 'path'> };

export type RouteName = keyof typeof ROUTES;

/** What a route answers, read from its schema's type: nothing of zod is imported. */
export type AnswerOf<Name extends RouteName> = Routes[Name] extends { response: { _output: infer Output } }
  ? Output
  : never;

export interface CallOptions {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** An operation's stream speaks each second: longer silence means that the daemon is gone. */
const EVENT_SILENCE_MS = 20_000;
const EVENT_LIMIT_CHARACTERS = 256 * 1024;

/** As BUILD_HEADER of the contract. */
const BUILD_HEADER = 'ringwall-build';
const CONSOLE_PROTOCOL = 'ringwall-console';
/** An encrypted disk is made with all its room before its contents are taken. */
const IMPORT_BEGIN_TIMEOUT_MS = 300_000;

/** As METRICS_PATH of the contract. */
const METRICS_PATH = '/metrics';
/** As PACKETS_PROTOCOL of the contract. */
const PACKETS_PROTOCOL = 'ringwall-packets';
/** What is there already of a chain is read to its last byte before the rest is taken: as long as ringwalld lets that take. */
const TRANSFER_BEGIN_TIMEOUT_MS = 4 * 60 * 60_000;

/** What listens starts in a jail of its own. */
const PACKETS_BEGIN_TIMEOUT_MS = 40_000;

/** As TRANSFER_PROTOCOL of the contract. */
const TRANSFER_PROTOCOL = 'ringwall-snapshot';

/** A raw connection, and the bytes that came with the answer. */
export interface Upgraded {
  readonly socket: Socket;
  readonly head: Uint8Array;
}

export class ApiClient {
  readonly socketPath: string;
  #build: string | undefined;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  /** The build of the daemon that answered last; undefined where none has said. */
  get build(): string | undefined {
    return this.#build;
  }

  async call<Name extends RouteName>(name: Name, options: CallOptions = {}): Promise<AnswerOf<Name>> {
    const { method, path } = ROUTES[name];
    const { status, headers, text } = await requestText({
      socketPath: this.socketPath,
      method: method.toUpperCase(),
      path: `${fillPath(path, options.params)}${renderQuery(options.query)}`,
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    });
    this.#build = headers.get(BUILD_HEADER);
    if (status >= 400) throw errorOf(status, text);
    return parseJson(text);
  }

  /** Figures for Prometheus, as they come. */
  async metrics(): Promise<string> {
    const { status, text } = await requestText({ socketPath: this.socketPath, method: 'GET', path: METRICS_PATH });
    if (status >= 400) throw errorOf(status, text);
    return text;
  }

  /** The operation now and at each change, until it has ended or the connection has. */
  async *operationEvents(operation: string): AsyncGenerator<Operation> {
    using exchange = await HttpExchange.open({
      socketPath: this.socketPath,
      method: 'GET',
      path: fillPath(ROUTES.operationEvents.path, { operation }),
      headers: { accept: 'text/event-stream' },
      timeoutMs: EVENT_SILENCE_MS,
    });
    if (exchange.status >= 400) throw errorOf(exchange.status, await textOf(exchange));
    for await (const data of readEvents(exchange.body())) yield parseJson(data);
  }

  /** The serial console. */
  openConsole(machine: string): Promise<Upgraded> {
    return this.#upgrade(fillPath(ROUTES.machineConsole.path, { machine }), CONSOLE_PROTOCOL);
  }

  /** Packets that a network drops from now on: a line of JSON, then pcap. */
  openRefused(network: string): Promise<Upgraded> {
    return this.#upgrade(fillPath(ROUTES.networkRefused.path, { network }), PACKETS_PROTOCOL, PACKETS_BEGIN_TIMEOUT_MS);
  }

  /** Packets on a machine's cable, as pcap. */
  openCapture(machine: string, query: Readonly<Record<string, string>>): Promise<Upgraded> {
    const path = `${fillPath(ROUTES.machineCapture.path, { machine })}${renderQuery(query)}`;
    return this.#upgrade(path, PACKETS_PROTOCOL, PACKETS_BEGIN_TIMEOUT_MS);
  }

  /** The way by which the contents of a disk go to the service (api/src/disk-stream.ts). */
  openImport(disk: string): Promise<Upgraded> {
    return this.#upgrade(fillPath(ROUTES.diskContents.path, { disk }), IMPORT_PROTOCOL, IMPORT_BEGIN_TIMEOUT_MS);
  }

  /** A sealed object behind its head, as it lies there. */
  openSnapshotContents(snapshot: string): Promise<Upgraded> {
    return this.#upgrade(fillPath(ROUTES.snapshotContents.path, { snapshot }), TRANSFER_PROTOCOL);
  }

  /** The way by which a sealed object comes to the service. */
  openImportContents(snapshot: string): Promise<Upgraded> {
    const path = fillPath(ROUTES.importContents.path, { snapshot });
    return this.#upgrade(path, TRANSFER_PROTOCOL, TRANSFER_BEGIN_TIMEOUT_MS);
  }

  async #upgrade(path: string, protocol: string, timeoutMs?: number): Promise<Upgraded> {
    const exchange = await HttpExchange.open({
      socketPath: this.socketPath,
      method: 'GET',
      path,
      headers: { connection: 'Upgrade', upgrade: protocol },
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    if (exchange.status === 101) return exchange.takeConnection();
    using refused = exchange;
    throw errorOf(refused.status, await textOf(refused));
  }
}

/** An error body as it came over the wire, where an absent hint may be spelled `undefined` by its schema's type. */
export function errorFrom({ code, message, hint }: ReceivedError): RingwallError {
  return new RingwallError(code, message, hint === undefined ? {} : { hint });
}

/** The `data` of each server-sent event (WHATWG HTML, section 9.2), several lines joined. */
export async function* readEvents(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  let data: string[] = [];
  for await (const chunk of bytes) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    if (rest.length > EVENT_LIMIT_CHARACTERS)
      throw new RingwallError('internal', 'ringwalld sent an event without end');
    for (const line of lines) {
      if (line === '' && data.length > 0) {
        yield data.join('\n');
        data = [];
      } else if (line.startsWith('data:')) {
        data.push(line.slice(line.startsWith('data: ') ? 6 : 5));
      }
    }
  }
}

/** Each parameter stays one segment, whatever it holds. */
function fillPath(path: string, params: Readonly<Record<string, string>> = {}): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = encodeURIComponent(params[name] ?? '');
    // `.` and `..` need no escaping in a URL, and a server would resolve them.
    return /^\.{1,2}$/.test(value) ? value.replaceAll('.', '%2E') : value;
  });
}

function renderQuery(query: Readonly<Record<string, string>> = {}): string {
  const pairs = Object.entries(query).map(
    ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`,
  );
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

async function textOf(exchange: HttpExchange): Promise<string> {
  let text = '';
  for await (const chunk of exchange.body()) {
    text += Buffer.from(chunk).toString('utf8');
    if (text.length > EVENT_LIMIT_CHARACTERS) break;
  }
  return text;
}

/** The type is taken on trust: the daemon checks its answers against the very schema before it sends them. */
function parseJson(text: string): ReturnType<typeof JSON.parse> {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RingwallError('internal', 'ringwalld answered with something that is not JSON', { cause });
  }
}

function errorOf(status: number, text: string): RingwallError {
  const value: unknown = parseJson(text);
  if (typeof value === 'object' && value !== null && 'error' in value && isErrorBody(value.error)) {
    return errorFrom(value.error);
  }
  return new RingwallError('internal', `ringwalld answered ${String(status)} without saying why`);
}

interface ReceivedError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
}

function isErrorBody(value: unknown): value is ReceivedError {
  return (
    typeof value === 'object' &&
    value !== null &&
    'code' in value &&
    typeof value.code === 'string' &&
    'message' in value &&
    typeof value.message === 'string'
  );
}
