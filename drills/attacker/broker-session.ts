// A session with the broker as whoever sits on the relay can have it: every line can be read, changed, kept and sent again.
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { brokerResponseSchemas, BROKER_LINE_LIMIT_BYTES, type BrokerRequest } from '@ringwall/api/broker';
import { LineClient } from '@ringwall/control/rpc';
import type { Challenge, VtpmEvidence } from '@ringwall/evidence';
import { evidenceLines, parseChallengeLine, type Instance } from '@ringwall/testkit';

/** Judging takes milliseconds; a broker that says nothing at all has refused too. */
const ANSWER_TIMEOUT_MS = 20_000;
/** How often a session is opened anew that ringwalld has cut off: it joins a watched machine again within 100 ms. */
const SESSIONS_LIMIT = 20;

export type BrokerClient = LineClient<BrokerRequest, typeof brokerResponseSchemas>;

export function brokerClient(ringwall: Instance): BrokerClient {
  return new LineClient({
    path: join(ringwall.runDir, 'broker', 'broker.sock'),
    responseSchemas: brokerResponseSchemas,
    lineLimitBytes: BROKER_LINE_LIMIT_BYTES,
    peer: 'the broker',
    unavailable: 'broker-unavailable',
    hint: 'it is started with the drills',
  });
}

export class BrokerSession implements Disposable {
  readonly #stream: Duplex;
  readonly #lines: AsyncIterator<string>;

  private constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('error', () => {});
    this.#lines = createInterface({ input: stream })[Symbol.asyncIterator]();
  }

  static async open(client: BrokerClient, machine: `mch_${string}`, boot: string): Promise<BrokerSession> {
    const { stream } = await client.openStream({ op: 'open-session', machine, boot });
    return new BrokerSession(stream);
  }

  /**
   * Asks for a challenge and presents what `answer` makes of it. A machine has one session at a time, and the newer one
   * wins: where ringwalld was faster, once more.
   */
  static async present(
    client: BrokerClient,
    { machine, boot }: { readonly machine: `mch_${string}`; readonly boot: string },
    answer: (challenge: Challenge) => Promise<VtpmEvidence>,
  ): Promise<{ readonly session: BrokerSession; readonly answer: BrokerAnswer }> {
    for (let count = 1; ; count += 1) {
      const session = await BrokerSession.open(client, machine, boot);
      const challenge = await session.hello();
      const answered = challenge === undefined ? undefined : await session.present(await answer(challenge));
      if (answered?.closed === false) return { session, answer: answered };
      session[Symbol.dispose]();
      if (count === SESSIONS_LIMIT) throw new Error('the broker closes every session without an answer');
    }
  }

  /** Undefined where the session was cut off. */
  async hello(): Promise<Challenge | undefined> {
    this.send('hello 1\n');
    const line = await this.line();
    return line === '' ? undefined : parseChallengeLine(line);
  }

  /** As `hello`, of a machine that nobody else opens sessions for. */
  async challenge(): Promise<Challenge> {
    const challenge = await this.hello();
    if (challenge === undefined) throw new Error('the broker closed the session');
    return challenge;
  }

  /** Sends evidence and returns the broker's answer up to its `end`. */
  async present(evidence: VtpmEvidence): Promise<BrokerAnswer> {
    this.send(evidenceLines(evidence));
    const lines: string[] = [];
    for (let line = await this.line(); line !== ''; line = await this.line()) {
      lines.push(line);
      if (line === 'end') break;
    }
    const release = lines.find((line) => line.startsWith('release '));
    const reasons = lines.filter((line) => line.startsWith('reason ')).map((line) => line.slice('reason '.length));
    return { lines, closed: lines.at(-1) !== 'end', release, reasons };
  }

  send(text: string): void {
    this.#stream.write(text);
  }

  /** The next line, or an empty one where the broker closed the session or says nothing. */
  async line(): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<string>((done) => {
      timer = setTimeout(() => done(''), ANSWER_TIMEOUT_MS);
    });
    const next = this.#lines.next().then(
      (result) => (result.done === true ? '' : result.value),
      () => '', // the connection broke in the middle of a word: the session was cut off
    );
    return Promise.race([next, silence]).finally(() => clearTimeout(timer));
  }

  [Symbol.dispose](): void {
    this.#stream.destroy();
  }
}

export interface BrokerAnswer {
  readonly lines: readonly string[];
  /** The session ended before the answer did. */
  readonly closed: boolean;
  /** The line that carries the wrapped key, where the broker gave one. */
  readonly release: string | undefined;
  readonly reasons: readonly string[];
}
