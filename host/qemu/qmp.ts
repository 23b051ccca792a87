// Speaks QMP, QEMU's monitor protocol (docs/interop/qmp-spec.rst): JSON lines over a Unix socket. An escaped guest may
// write whatever it likes here, so that lines are bounded, every reply is checked, and nothing waits for ever.
import { Socket } from 'node:net';
import { RingwallError } from '@ringwall/api';

/** The longest honest line, the answer to qom-list of a machine, has some 10 KiB. */
export const QMP_LINE_LIMIT_BYTES: number = 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 10_000;

export interface QmpEvent {
  readonly event: string;
  readonly data?: Readonly<Record<string, unknown>> | undefined;
}

interface Waiter {
  readonly id: number;
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: RingwallError) => void;
}

export class QmpClient implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #waiters = new Map<number, Waiter>();
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  #text = '';
  #nextId = 1;
  #ended: RingwallError | undefined;
  #greeted: ((error?: RingwallError) => void) | undefined;
  readonly closed: Promise<void>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#onText(text));
    socket.on('error', (cause) =>
      this.#end(new RingwallError('vmm-failed', 'the connection to QEMU broke', { cause })),
    );
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#end(new RingwallError('vmm-failed', 'QEMU closed its monitor'));
        resolve();
      });
    });
  }

  /** Connects, waits for the greeting and leaves negotiation mode. */
  static async connect(path: string, timeoutMs: number = DEFAULT_TIMEOUT_MS): Promise<QmpClient> {
    const socket = new Socket();
    const client = new QmpClient(socket);
    const greeted = new Promise<void>((resolve, reject) => {
      client.#greeted = (error) => (error === undefined ? resolve() : reject(error));
    });
    const timer = setTimeout(
      () => client.#end(new RingwallError('timeout', `QEMU's monitor did not greet within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    socket.connect(path);
    try {
      await greeted;
    } finally {
      clearTimeout(timer);
    }
    await client.execute('qmp_capabilities', {}, timeoutMs);
    return client;
  }

  /** Runs a command; an error of QEMU, silence and an end of the connection reject. */
  async execute(
    command: string,
    argumentsOf: Readonly<Record<string, unknown>> = {},
    timeoutMs: number = DEFAULT_TIMEOUT_MS,
  ): Promise<unknown> {
    if (this.#ended !== undefined) throw this.#ended;
    const id = this.#nextId;
    this.#nextId += 1;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#waiters.set(id, { id, command, resolve, reject });
    });
    const timer = setTimeout(
      () =>
        this.#waiters
          .get(id)
          ?.reject(new RingwallError('timeout', `QEMU did not answer ${command} within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    try {
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: argumentsOf, id })}\n`);
      return await answer;
    } finally {
      clearTimeout(timer);
      this.#waiters.delete(id);
    }
  }

  /** Runs a command whose reply must have a shape: `parse` answers undefined for any other. */
  async query<T>(command: string, parse: (reply: unknown) => T | undefined, timeoutMs?: number): Promise<T> {
    const reply = parse(await this.execute(command, {}, timeoutMs));
    if (reply === undefined) {
      throw new RingwallError('vmm-failed', `QEMU's reply to ${command} has another shape than expected`);
    }
    return reply;
  }

  /** Answers a function that stops the listening. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(new RingwallError('vmm-failed', 'the connection to QEMU is closed'));
    await this.closed;
  }

  #onText(text: string): void {
    this.#text += text;
    for (let end = this.#text.indexOf('\n'); end >= 0; end = this.#text.indexOf('\n')) {
      const line = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 1);
      this.#onLine(line);
    }
    if (this.#text.length > QMP_LINE_LIMIT_BYTES) {
      this.#end(new RingwallError('too-large', `QEMU sent a line of more than ${QMP_LINE_LIMIT_BYTES} bytes`));
    }
  }

  #onLine(line: string): void {
    if (this.#ended !== undefined || line.trim() === '') return;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (cause) {
      this.#end(new RingwallError('vmm-failed', 'QEMU sent a line that is no JSON', { cause }));
      return;
    }
    const message = parseMessage(value);
    if (this.#greeted !== undefined) {
      const greeted = this.#greeted;
      this.#greeted = undefined;
      greeted(
        message.kind === 'greeting' ? undefined : new RingwallError('vmm-failed', 'what answers is no QEMU monitor'),
      );
      return;
    }
    if (message.kind === 'event') {
      for (const listener of this.#listeners) listener(message.event);
      return;
    }
    if (message.kind !== 'reply' || !this.#wasAsked(message.id)) {
      this.#end(new RingwallError('vmm-failed', 'QEMU answered what nobody asked'));
      return;
    }
    const waiter = this.#waiters.get(message.id);
    // Its time was over before this came.
    if (waiter === undefined) return;
    if (message.error !== undefined) {
      waiter.reject(new RingwallError('vmm-failed', `QEMU refused ${waiter.command}: ${message.error}`));
    } else {
      waiter.resolve(message.value);
    }
  }

  #wasAsked(id: number): boolean {
    return Number.isInteger(id) && id >= 1 && id < this.#nextId;
  }

  #end(error: RingwallError): void {
    this.#ended ??= error;
    this.#greeted?.(this.#ended);
    this.#greeted = undefined;
    for (const waiter of this.#waiters.values()) waiter.reject(this.#ended);
    this.#socket.destroy();
  }
}

type Message =
  | { readonly kind: 'greeting' }
  | { readonly kind: 'event'; readonly event: QmpEvent }
  | { readonly kind: 'reply'; readonly id: number; readonly error?: string; readonly value?: unknown }
  | { readonly kind: 'other' };

function parseMessage(value: unknown): Message {
  if (!isRecord(value)) return { kind: 'other' };
  if (isRecord(value['QMP'])) return { kind: 'greeting' };
  if (typeof value['event'] === 'string') {
    return {
      kind: 'event',
      event: { event: value['event'], ...(isRecord(value['data']) ? { data: value['data'] } : {}) },
    };
  }
  const { id, error } = value;
  if (typeof id !== 'number') return { kind: 'other' };
  if ('return' in value) return { kind: 'reply', id, value: value['return'] };
  if (!isRecord(error)) return { kind: 'other' };
  return { kind: 'reply', id, error: `${String(error['desc'])} (${String(error['class'])})` };
}

/** A JSON object, as QMP sends them everywhere. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
