// The server of the line-framed RPC that ringwalld, the warden and the broker speak over Unix sockets: one JSON object a
// line each way, {"id","request"} → {"id","progress":{step,fraction?}}* → {"id","result"} | {"id","error"}.
// A peer is anyone who may open the socket: the file's mode is the first wall, and nothing a peer sends can cost more
// than the limits below.
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { RingwallError, type ErrorBody } from '@ringwall/api';
import { LineError, LineSplitter } from './lines.ts';
import { listenOn } from './listen.ts';
import { parseStrict, quoted, type Schema } from './schema.ts';

/**
 * A request that takes longer is told so, by progress that says nothing: whoever asks can tell us, who are slow, from
 * somebody else who took our place on the socket and does not know the protocol.
 */
const HEARD_AFTER_MS = 500;

/** How long a refused peer may take to read why. */
const REFUSAL_LINGER_MS = 500;

export interface RpcLimits {
  /** Connections at a time. An attestation stream or a console is one each. */
  readonly connections: number;
  /** Requests of one connection that are not answered yet. */
  readonly pendingRequests: number;
  /** A line that was begun must end within this time. */
  readonly lineTimeoutMs: number;
  /** A connection without a request, a pending answer or a byte is closed after this time. */
  readonly idleTimeoutMs: number;
  /** Answers that a peer has not read; past it the peer is cut off. The largest, a proof, has 5 MiB. */
  readonly unreadBytes: number;
  /** How long `close` waits for requests that are being handled. */
  readonly closeGraceMs: number;
}

export const DEFAULT_RPC_LIMITS: RpcLimits = {
  connections: 4096,
  pendingRequests: 32,
  lineTimeoutMs: 10_000,
  idleTimeoutMs: 120_000,
  unreadBytes: 8 * 1024 * 1024,
  closeGraceMs: 2_000,
};

export interface Progress {
  readonly step: string;
  readonly fraction?: number;
}

export interface CallContext {
  /** Tells the peer what is being done; dropped where the peer does not read. */
  readonly progress: (progress: Progress) => void;
  /**
   * After the result line, hands the connection over as raw bytes. The taker owns it and must end or destroy it. It is
   * paused, so that nothing is lost before somebody reads: `pipe` and `for await` start it, on('data') needs `resume()`.
   */
  readonly upgrade: (take: (stream: Duplex) => void | Promise<void>) => void;
  /** Aborted when the peer is known to be gone: its connection broke, or the server cut it off. */
  readonly signal: AbortSignal;
}

export interface ServeOptions<Request extends { readonly op: string }> {
  readonly path: string;
  /** Of the socket file; connecting needs the write bit. */
  readonly mode: number;
  readonly gid?: number;
  readonly requestSchema: Schema<Request>;
  readonly responseSchemas: Readonly<Record<Request['op'], Schema<unknown>>>;
  readonly lineLimitBytes: number;
  readonly limits?: Partial<RpcLimits>;
  readonly handle: (request: Request, call: CallContext) => Promise<unknown>;
  /** Told of defects: errors that are no RingwallError. The peer learns only that there was one. */
  readonly onDefect?: (error: unknown, op: string) => void;
}

export interface LineServer {
  readonly path: string;
  /** Stops listening, removes the socket file, lets requests end within the grace, then cuts off. Idempotent. */
  close(): Promise<void>;
}

/** Listens. Once this resolves, the socket exists with its final mode and owner. */
export async function serveLines<Request extends { readonly op: string }>(
  options: ServeOptions<Request>,
): Promise<LineServer> {
  const limits: RpcLimits = { ...DEFAULT_RPC_LIMITS, ...options.limits };
  const connections = new Set<Connection<Request>>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (connections.size >= limits.connections) {
      socket.destroy();
      return;
    }
    const connection = new Connection(socket, options, limits);
    connections.add(connection);
    socket.once('close', () => connections.delete(connection));
  });
  await listenOn(server, options);
  // An error of the listening handle (EMFILE at accept) must not end the process: it passes as peers leave.
  server.on('error', (error) => options.onDefect?.(error, 'accept'));

  let closing: Promise<void> | undefined;
  return {
    path: options.path,
    close: () => {
      closing ??= closeServer(server, connections, limits.closeGraceMs);
      return closing;
    },
  };
}

class Connection<Request extends { readonly op: string }> {
  readonly #socket: Socket;
  readonly #options: ServeOptions<Request>;
  readonly #limits: RpcLimits;
  readonly #lines: LineSplitter;
  readonly #gone = new AbortController();
  readonly #pending = new Set<number>();
  #lineTimer: NodeJS.Timeout | undefined;
  #state: 'lines' | 'upgrading' | 'upgraded' | 'ending' = 'lines';
  #peerEnded = false;

  constructor(socket: Socket, options: ServeOptions<Request>, limits: RpcLimits) {
    this.#socket = socket;
    this.#options = options;
    this.#limits = limits;
    this.#lines = new LineSplitter(options.lineLimitBytes);
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('timeout', this.#onIdle);
    socket.setTimeout(limits.idleTimeoutMs);
    socket.on('error', () => socket.destroy()); // ECONNRESET, EPIPE: the peer is gone, 'close' follows
    socket.once('close', () => {
      clearTimeout(this.#lineTimer);
      this.#gone.abort(new RingwallError('timeout', 'the peer closed the connection'));
    });
  }

  get busy(): boolean {
    return this.#pending.size > 0;
  }

  /** No new request; the connection goes when the last answer is out. An upgraded stream is cut at once. */
  finish(): void {
    if (this.#state === 'upgraded' || !this.busy) this.#socket.destroy();
    else if (this.#state === 'lines') this.#state = 'ending';
  }

  destroy(): void {
    this.#socket.destroy();
  }

  readonly #onData = (chunk: Uint8Array): void => {
    if (this.#state === 'ending') return;
    try {
      this.#lines.push(chunk);
      this.#takeLines();
    } catch (error) {
      if (!(error instanceof LineError)) throw error;
      this.#refuse(new RingwallError('too-large', error.message));
    }
    this.#watchLine();
  };

  readonly #onEnd = (): void => {
    this.#peerEnded = true;
    if (this.#state === 'lines' && !this.busy) this.#socket.end();
  };

  readonly #onIdle = (): void => {
    // Waiting for our own handler is not the peer's fault, unless it leaves answers unread.
    if (this.busy && this.#socket.writableLength === 0) return;
    this.#socket.destroy();
  };

  #takeLines(): void {
    while (this.#state === 'lines') {
      const line = this.#lines.next();
      if (line === undefined) return;
      this.#takeLine(line);
    }
  }

  #takeLine(line: Uint8Array): void {
    const envelope = parseEnvelope(line);
    if (typeof envelope === 'string') {
      this.#refuse(new RingwallError('bad-request', envelope));
      return;
    }
    const { id } = envelope;
    if (this.#pending.has(id)) {
      this.#refuse(new RingwallError('bad-request', `request ${String(id)} is still being handled`));
      return;
    }
    if (this.#pending.size >= this.#limits.pendingRequests) {
      const pending = String(this.#limits.pendingRequests);
      this.#send({ id, error: body('too-large', `more than ${pending} requests at a time on one connection`) });
      return;
    }
    const parsed = parseStrict(this.#options.requestSchema, envelope.request);
    if (!parsed.ok) {
      this.#send({ id, error: body('bad-request', parsed.why) });
      return;
    }
    this.#pending.add(id);
    void this.#answer(id, parsed.data);
  }

  /** Never rejects: whatever the handler does becomes an answer. */
  async #answer(id: number, request: Request): Promise<void> {
    let take: ((stream: Duplex) => void | Promise<void>) | undefined;
    let answered = false;
    const progress = ({ step, fraction }: Progress): void => {
      // Progress is for people: a peer that does not read gets the newest later, never a queue.
      if (answered || this.#socket.writableNeedDrain) return;
      this.#send({ id, progress: { step, ...(fraction === undefined ? {} : { fraction }) } });
    };
    const heard = setTimeout(() => progress({ step: '' }), HEARD_AFTER_MS);
    try {
      const result = await this.#options.handle(request, {
        progress,
        upgrade: (taker) => {
          take = taker;
          // Bytes that follow the request belong to the stream: they wait, whatever they look like.
          if (this.#state === 'lines') this.#state = 'upgrading';
          this.#socket.pause();
        },
        signal: this.#gone.signal,
      });
      answered = true;
      clearTimeout(heard);
      const schema = this.#options.responseSchemas[request.op as Request['op']];
      const checked = parseStrict(schema, result);
      if (!checked.ok) throw new Error(`the result of ${request.op} is not what the schema says: ${checked.why}`);
      this.#pending.delete(id);
      if (take !== undefined && this.busy) {
        // Their answers would end up in the middle of the stream.
        throw new RingwallError('bad-request', `${request.op} while other requests of this connection are handled`);
      }
      this.#send({ id, result: checked.data });
      if (take !== undefined) {
        await this.#handOver(take);
        return;
      }
    } catch (error) {
      answered = true;
      clearTimeout(heard);
      this.#pending.delete(id);
      if (take !== undefined && this.#state === 'upgraded') {
        this.#options.onDefect?.(error, request.op);
        this.#socket.destroy();
        return;
      }
      this.#send({ id, error: this.#errorBody(error, request.op) });
      if (this.#state === 'upgrading') {
        this.#state = 'lines';
        this.#socket.resume();
      }
    }
    if ((this.#peerEnded || this.#state === 'ending') && !this.busy) this.#socket.end();
  }

  async #handOver(take: (stream: Duplex) => void | Promise<void>): Promise<void> {
    const socket = this.#socket;
    this.#state = 'upgraded';
    clearTimeout(this.#lineTimer);
    socket.setTimeout(0);
    socket.off('data', this.#onData);
    socket.off('end', this.#onEnd);
    socket.off('timeout', this.#onIdle);
    const rest = this.#lines.takeRest();
    if (socket.destroyed || (socket.readableEnded && rest.length > 0)) {
      socket.destroy();
      return;
    }
    if (rest.length > 0) socket.unshift(rest);
    await take(socket);
  }

  #errorBody(error: unknown, op: string): ErrorBody {
    if (error instanceof RingwallError) return error.toBody();
    // A handler that ends because its peer is gone has done what it should; nobody will read this.
    if (this.#gone.signal.aborted) return body('timeout', 'the peer closed the connection');
    this.#options.onDefect?.(error, op);
    return body('internal', `${op} failed by a defect of ringwall`, 'see the log of the process that answered');
  }

  /** For a peer that does not speak the protocol: one error without an id that it sent, then the end. */
  #refuse(error: RingwallError): void {
    this.#state = 'ending';
    this.#send({ id: null, error: error.toBody() });
    this.#socket.end();
    // Closing with unread bytes would reset the connection and lose the error: read on, and throw away, for a moment.
    setTimeout(() => this.#socket.destroy(), REFUSAL_LINGER_MS).unref();
  }

  #send(message: object): void {
    const socket = this.#socket;
    if (socket.destroyed || !socket.writable) return;
    socket.write(`${JSON.stringify(message)}\n`);
    if (socket.writableLength > this.#limits.unreadBytes) socket.destroy();
  }

  #watchLine(): void {
    const midLine = this.#state === 'lines' && this.#lines.midLine;
    if (!midLine) {
      clearTimeout(this.#lineTimer);
      this.#lineTimer = undefined;
      return;
    }
    // Not renewed by more bytes of the same line: a byte now and then does not keep a connection.
    this.#lineTimer ??= setTimeout(() => {
      this.#refuse(new RingwallError('timeout', 'a request line was begun and not ended in time'));
    }, this.#limits.lineTimeoutMs);
  }
}

interface Envelope {
  readonly id: number;
  readonly request: unknown;
}

function parseEnvelope(line: Uint8Array): Envelope | string {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(line));
  } catch {
    return 'a line that is not JSON';
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'a line that is not a JSON object';
  const fields = new Map<string, unknown>(Object.entries(value));
  const id = fields.get('id');
  if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0) return 'a request without a whole number as id';
  if (!fields.has('request')) return 'a line without a request';
  for (const name of fields.keys()) {
    if (name !== 'id' && name !== 'request') return `unknown field ${quoted(name)}`;
  }
  return { id, request: fields.get('request') };
}

function body(code: ErrorBody['code'], message: string, hint?: string): ErrorBody {
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}

async function closeServer<Request extends { readonly op: string }>(
  server: Server,
  connections: ReadonlySet<Connection<Request>>,
  graceMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const connection of connections) connection.finish();
  const cut = setTimeout(() => {
    for (const connection of connections) connection.destroy();
  }, graceMs);
  await closed;
  clearTimeout(cut);
}
