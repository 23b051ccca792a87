// `ringwall net capture`: packets on a machine's cable, as pcap, into a file or for the next program of a pipe.
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { RingwallError } from '@ringwall/api/errors';
import type { Invocation } from '../../invocation.ts';

export async function run(invocation: Invocation): Promise<void> {
  const { err, values } = invocation;
  const [machine, more] = invocation.arguments;
  if (machine === undefined || more !== undefined) {
    throw new RingwallError('bad-request', 'net capture takes one machine', {
      hint: `as in: ${invocation.self} net capture web -o web.pcap`,
    });
  }
  const file = values.get('out');
  if (file === undefined && process.stdout.isTTY) {
    throw new RingwallError('bad-request', 'packets are nothing for a terminal', {
      hint: `into a file: -o ${machine}.pcap; or: | tcpdump -r -`,
    });
  }
  const asked = ['seconds', 'bytes', 'filter'].flatMap((name) => {
    const value = values.get(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  const { socket, head } = await invocation.withApi((api) => api.openCapture(machine, Object.fromEntries(asked)));
  let bytes = head.length;
  socket.on('data', (chunk: Uint8Array) => (bytes += chunk.length));
  socket.pause();
  if (head.length > 0) socket.unshift(head);
  const onSignal = (): void => void socket.end();
  process.once('SIGINT', onSignal);
  try {
    // A file that is there already is somebody's.
    await pipeline(socket, file === undefined ? process.stdout : createWriteStream(file, { flags: 'wx', mode: 0o600 }));
  } catch (cause) {
    const taken = Object(cause).code === 'EEXIST';
    throw new RingwallError(
      taken ? 'conflict' : 'internal',
      taken ? `${file ?? ''} is there already` : 'the capture broke off',
      { cause },
    );
  } finally {
    process.off('SIGINT', onSignal);
    socket.destroy();
  }
  if (file !== undefined) err.line(`${String(bytes)} bytes in ${file}`);
}
