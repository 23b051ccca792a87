// The routes of the contract joined to what does them. Every handler is one line of the service behind it: no decision
// is made here.
import { PACKETS_PROTOCOL } from '@ringwall/api/packets';
import {
  BUILD_HEADER,
  HTTP_ROUTES,
  type HttpRouteName,
  LOGS_DEFAULT_BYTES,
  LOGS_LIMIT_BYTES,
  METRICS_PATH,
  OPENAPI_PATH,
  RingwallError,
} from '@ringwall/api';
import { IMPORT_PROTOCOL } from '@ringwall/api/disk-stream';
import type { Disks } from '@ringwall/control/disks';
import { METRICS_TYPES, type Metrics } from '@ringwall/control/metrics';
import type { Counters, Mirrors, Networks, Peers } from '@ringwall/control/networks';
import type {
  Approvals,
  Backups,
  HostReports,
  Machines,
  Operations,
  References,
  Snapshots,
  Templates,
  Transfers,
} from '@ringwall/control/machines';
import { TRANSFER_PROTOCOL } from '@ringwall/api/transfers';
import type { Store } from '@ringwall/control/store';
import { Hono } from 'hono';
import { answerError, answerEvents, answerJson, answerText, explain, type Note } from './answers.ts';
import { streamAudit, streamOperation } from './event-stream.ts';
import { readInput, type RouteInput } from './input.ts';

export interface ApiParts {
  readonly machines: Machines;
  readonly disks: Disks;
  readonly networks: Networks;
  readonly peers: Peers;
  readonly counters: Counters;
  readonly mirrors: Mirrors;
  readonly metrics: Metrics;
  readonly snapshots: Snapshots;
  readonly templates: Templates;
  readonly transfers: Transfers;
  readonly approvals: Approvals;
  readonly backups: Backups;
  readonly references: References;
  readonly operations: Operations;
  readonly host: HostReports;
  readonly store: Store;
  readonly version: string;
  /** Undefined where it runs from the sources. */
  readonly build: string | undefined;
  readonly note: Note;
}

export function makeApi(parts: ApiParts): Hono {
  const app = new Hono();
  const handlers = handlersOf(parts);
  const { build } = parts;
  if (build !== undefined) {
    app.use(async (context, next) => {
      await next();
      context.res.headers.set(BUILD_HEADER, build);
    });
  }
  for (const name of ROUTE_NAMES) mount(app, name, handlers);
  app.get(OPENAPI_PATH, async () => {
    // Its libraries are loaded by the first who asks, not by every daemon.
    const { renderOpenApi } = await import('./openapi.ts');
    return answerJson(200, renderOpenApi(parts.version));
  });
  app.get(METRICS_PATH, async ({ req }) => {
    const format =
      req.header('accept')?.includes('application/openmetrics-text') === true ? 'openmetrics' : 'prometheus';
    return answerText(await parts.metrics.render(format), METRICS_TYPES[format]);
  });
  app.notFound(({ req }) =>
    answerError(
      new RingwallError('not-found', `no route ${req.method} ${shorten(req.path)}`, { hint: `see ${OPENAPI_PATH}` }),
    ),
  );
  app.onError((error) => answerError(explain(error, parts.note)));
  return app;
}

type Handlers = {
  readonly [Name in HttpRouteName]: (input: RouteInput<(typeof HTTP_ROUTES)[Name]>) => Promise<Response> | Response;
};

const ROUTE_NAMES = Object.keys(HTTP_ROUTES).filter((name): name is HttpRouteName => name in HTTP_ROUTES);

function handlersOf(parts: ApiParts): Handlers {
  const {
    machines,
    disks,
    networks,
    peers,
    counters,
    mirrors,
    snapshots,
    templates,
    transfers,
    approvals,
    backups,
    references,
    operations,
    host,
    store,
    version,
  } = parts;
  return {
    health: async () => answerJson(200, { version, processes: await host.processes(), operations: operations.running }),
    host: async () => answerJson(200, await host.report()),
    listImages: async () => answerJson(200, await machines.listImages()),
    buildImage: async ({ params, body }) =>
      answerJson(202, { operation: await machines.buildImage(params.image, body.rebuild === true) }),
    listMachines: async ({ query }) =>
      answerJson(200, {
        machines: await machines.list(query.name === undefined ? {} : { name: query.name }),
        notices: machines.notices(),
      }),
    createMachine: async ({ body }) => answerJson(202, await machines.create(withoutUndefined(body))),
    showMachine: async ({ params }) => answerJson(200, await machines.detail(params.machine)),
    startMachine: async ({ params, headers }) =>
      answerJson(202, { operation: await machines.start(params.machine, versionOf(headers)) }),
    stopMachine: async ({ params, headers, body }) =>
      answerJson(202, {
        operation: await machines.stop(params.machine, { ...versionOf(headers), ...withoutUndefined(body) }),
      }),
    removeMachine: async ({ params, headers, query }) =>
      answerJson(202, {
        operation: await machines.remove(params.machine, { ...versionOf(headers), force: query.force === 'true' }),
      }),
    readErasure: async ({ params }) => answerJson(200, await machines.erasure(params.machine)),
    rotateRootKey: async () => answerJson(200, await machines.rotateRootKey()),
    rotateMachineKey: async ({ params }) => answerJson(200, await machines.rotateKey(params.machine)),
    readmitMachine: async ({ params }) => answerJson(200, await machines.readmit(params.machine)),
    machineLogs: async ({ params, query }) =>
      answerJson(200, await machines.logs(params.machine, bytesOf(query.bytes))),
    machineProof: async ({ params }) => answerJson(200, await machines.proof(params.machine)),
    machineEar: async ({ params }) => answerJson(200, await references.ear(params.machine)),
    machineWhy: async ({ params }) => answerJson(200, await references.why(params.machine)),
    listReferences: async () => answerJson(200, await references.list()),
    buildReference: async ({ params }) => answerJson(200, await references.build(params.image)),
    hostReference: async ({ body }) => answerJson(200, await references.host(body.everything)),
    diffReference: async ({ body }) => answerJson(200, await references.diff(body.subject)),
    tryReference: async ({ body }) => answerJson(200, await references.try(body.subject)),
    acceptReference: async ({ body }) => answerJson(200, await references.accept(body.subject)),
    listDisks: async () => answerJson(200, { disks: await disks.list() }),
    importDisk: async ({ body }) => answerJson(202, await disks.import(body)),
    removeDisk: async ({ params }) => {
      await disks.remove(params.disk);
      return answerJson(200, {});
    },
    readDiskErasure: async ({ params }) => answerJson(200, await disks.erasure(params.disk)),
    diskContents: () => {
      throw new RingwallError('bad-request', 'the contents of a disk are a stream', {
        hint: `ask with the headers Connection: Upgrade and Upgrade: ${IMPORT_PROTOCOL}`,
      });
    },
    labelMachine: async ({ params, body }) => {
      const { id } = await networks.label(params.machine, withoutUndefined(body));
      return answerJson(200, await machines.find(id));
    },
    listNetworks: async () => answerJson(200, { networks: await networks.list() }),
    showWayOut: async () => answerJson(200, await networks.wayOut()),
    createNetwork: async ({ body }) => answerJson(200, await networks.create(withoutUndefined(body))),
    showNetwork: async ({ params }) => answerJson(200, await networks.detail(params.network)),
    removeNetwork: async ({ params }) => {
      await networks.remove(params.network);
      return answerJson(200, {});
    },
    addRule: async ({ params, body }) => answerJson(200, await networks.addRule(params.network, body.rule)),
    removeRule: async ({ params }) => answerJson(200, await networks.removeRule(params.network, params.rule)),
    listPeers: async ({ params }) => answerJson(200, { peers: await peers.list(params.network) }),
    exportPeer: async ({ params, body }) => answerJson(200, await peers.export(params.network, withoutUndefined(body))),
    importPeer: async ({ params, body }) => answerJson(200, await peers.import(params.network, body.file)),
    removePeer: async ({ params }) => {
      await peers.remove(params.network, params.host);
      return answerJson(200, {});
    },
    mapNetwork: async ({ params }) => answerJson(200, await networks.map(params.network)),
    showMirror: async ({ params }) => answerJson(200, await mirrors.show(params.network)),
    setMirror: async ({ params, body }) => answerJson(200, await mirrors.set(params.network, body.machines)),
    networkCounters: async ({ params }) => answerJson(200, await counters.find(params.network)),
    explainReach: async ({ query }) => answerJson(200, await networks.reach(withoutUndefined(query))),
    exportPolicy: async () => answerJson(200, await networks.exportPolicy()),
    planPolicy: async ({ body }) => answerJson(200, await networks.planPolicy(body.policy)),
    applyPolicy: async ({ body }) => answerJson(200, await networks.applyPolicy(body.policy, body.anyway === true)),
    listSnapshots: async () => answerJson(200, { snapshots: await snapshots.list() }),
    takeSnapshot: async ({ params, body }) =>
      answerJson(202, { operation: await machines.snapshot(params.machine, body) }),
    planBackups: async ({ params, body }) => answerJson(200, await backups.plan(params.machine, body.plan)),
    restoreMachine: async ({ params, body }) =>
      answerJson(202, { operation: await machines.restore(params.machine, body) }),
    cloneMachine: async ({ params, body }) =>
      answerJson(202, await machines.clone(params.machine, withoutUndefined(body ?? {}))),
    checkSnapshot: async ({ params }) => answerJson(200, await snapshots.check(params.snapshot)),
    listApprovals: async () => answerJson(200, await approvals.list()),
    showApproval: async ({ params }) => answerJson(200, await approvals.show(params.approval)),
    signApproval: async ({ params, body }) => answerJson(200, await approvals.sign(params.approval, body)),
    changePerson: async ({ body }) => answerJson(200, await approvals.changePerson(body)),
    requireApproval: async ({ params, body }) =>
      answerJson(200, await approvals.require(params.machine, body.required)),
    hostRecipient: async () => answerJson(200, await transfers.recipient()),
    exportSnapshot: async ({ params, body }) => answerJson(200, await transfers.export(params.snapshot, body)),
    beginImport: async ({ body }) => answerJson(200, await transfers.beginImport(body)),
    snapshotContents: () => objectsAreStreams(),
    importContents: () => objectsAreStreams(),
    listTemplates: async () => answerJson(200, { templates: await templates.list() }),
    holdTemplate: async ({ params }) => answerJson(202, { operation: await machines.holdTemplate(params.snapshot) }),
    releaseTemplate: async ({ params }) => {
      await templates.release(params.snapshot);
      return answerJson(200, {});
    },
    removeSnapshot: async ({ params }) => {
      await snapshots.remove(params.snapshot);
      return answerJson(200, {});
    },
    machineConsole: () => {
      throw new RingwallError('bad-request', 'the console is a stream', {
        hint: 'ask with the headers Connection: Upgrade and Upgrade: ringwall-console',
      });
    },
    networkRefused: () => packetsAreAStream(),
    machineCapture: () => packetsAreAStream(),
    showOperation: async ({ params }) => {
      const operation = await operations.find(params.operation);
      if (operation === undefined) throw new RingwallError('not-found', `there is no operation ${params.operation}`);
      return answerJson(200, operation);
    },
    operationEvents: async ({ params }) => answerEvents(await streamOperation(operations, params.operation)),
    events: ({ query, headers }) =>
      answerEvents(streamAudit(store, Number(headers['last-event-id'] ?? query.since ?? 0))),
  };
}

// The name ties the route's input to its handler's.
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters
function mount<Name extends HttpRouteName>(app: Hono, name: Name, handlers: Handlers): void {
  const route: (typeof HTTP_ROUTES)[Name] = HTTP_ROUTES[name];
  const path = route.path.replaceAll(/\{(\w+)\}/g, ':$1');
  app.on(route.method.toUpperCase(), path, async (context) => handlers[name](await readInput(route, context)));
}

function versionOf(headers: { 'if-match'?: string | undefined }): { version?: number } {
  const version = headers['if-match']?.replaceAll('"', '');
  return version === undefined ? {} : { version: Number(version) };
}

function bytesOf(bytes: string | undefined): number {
  const count = bytes === undefined ? LOGS_DEFAULT_BYTES : Number(bytes);
  if (count >= 1 && count <= LOGS_LIMIT_BYTES) return count;
  throw new RingwallError('bad-request', `bytes ${String(count)}, expected 1..${String(LOGS_LIMIT_BYTES)}`);
}

/** zod leaves an optional field that was absent out of its output, and says `| undefined` in its type. */
function withoutUndefined<T extends object>(value: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- JSON has no undefined: only the type says so
  return value as { [Key in keyof T]: Exclude<T[Key], undefined> };
}

function shorten(path: string): string {
  return path.length > 80 ? `${path.slice(0, 80)}…` : path;
}

function packetsAreAStream(): never {
  throw new RingwallError('bad-request', 'packets are a stream', {
    hint: `ask with the headers Connection: Upgrade and Upgrade: ${PACKETS_PROTOCOL}`,
  });
}

function objectsAreStreams(): never {
  throw new RingwallError('bad-request', 'a sealed object is a stream', {
    hint: `ask with the headers Connection: Upgrade and Upgrade: ${TRANSFER_PROTOCOL}`,
  });
}
