// ringwall-witness GUEST TPM PORT: a process of its own in a jail of its own, so that it outlives the warden as its VMM and
// TPM do. GUEST and TPM are descriptors of connected sockets, PORT is the path where it listens; it ends with its VMM.
import { createServer, Socket } from 'node:net';
import { SocketTransport } from '../tpm/index.ts';
import { witness } from './witness.ts';

const [guestFd, tpmFd, portPath] = process.argv.slice(2);
if (guestFd === undefined || tpmFd === undefined || portPath === undefined) {
  throw new TypeError('usage: ringwall-witness GUEST TPM PORT');
}
await using tpm = new SocketTransport(new Socket({ fd: Number(tpmFd) }));
const port = createServer();
await new Promise<void>((resolve, reject) => {
  port.once('error', reject);
  port.listen(portPath, resolve);
});
const guest = new Socket({ fd: Number(guestFd) });
await witness({ guest, tpm, port });
process.exit(0);
