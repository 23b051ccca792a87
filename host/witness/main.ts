// ringwall-witness GUEST TPM CONTROL PORT STATES [waiting]: a process of its own in a jail of its own, so that it outlives the warden as
// its VMM and TPM do. GUEST, TPM and CONTROL are descriptors of connected sockets, PORT and STATES are paths where it listens; it ends
// with its VMM.
import { createServer, Socket, type Server } from 'node:net';
import { SwtpmControl } from '../swtpm/control-channel.ts';
import { SocketTransport } from '../tpm/index.ts';
import { witness } from './witness.ts';

const [guestFd, tpmFd, controlFd, portPath, statesPath, mode] = process.argv.slice(2);
if (statesPath === undefined || portPath === undefined || (mode !== undefined && mode !== 'waiting')) {
  throw new TypeError('usage: ringwall-witness GUEST TPM CONTROL PORT STATES [waiting]');
}
await using tpm = new SocketTransport(new Socket({ fd: Number(tpmFd) }));
const control = new SwtpmControl(new Socket({ fd: Number(controlFd) }));
const states = await listen(createServer({ allowHalfOpen: true }), statesPath);
// Last: whoever sees it finds both.
const port = await listen(createServer(), portPath);
const guest = new Socket({ fd: Number(guestFd) });
await witness({ guest, tpm, control, port, states }, { waiting: mode === 'waiting' });
process.exit(0);

async function listen(server: Server, path: string): Promise<Server> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return server;
}
