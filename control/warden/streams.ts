// Turns a connection of ringwalld into one of a machine's byte streams. The warden only relays: it looks at no byte.
import type { Duplex } from 'node:stream';
import { RingwallError, type MachineId } from '@ringwall/api';
import { readConsoleTail } from './console.ts';
import type { WardenContext } from './context.ts';
import { machineLayout, type MachineLayout } from './layout.ts';
import { isRunningBoot, readBoot, type RunningBoot } from './records.ts';
import { requireSpec } from './boots.ts';
import { connectToVmm, joinStreams } from './vmm-socket.ts';

/** What a stream needs of the connection that asked for it. */
export interface StreamCall {
  readonly upgrade: (take: (stream: Duplex) => void | Promise<void>) => void;
  readonly signal: AbortSignal;
}

export async function openStream(
  context: WardenContext,
  id: MachineId,
  stream: 'console' | 'attest',
  call: StreamCall,
): Promise<Record<string, never>> {
  const machine = machineLayout(context.layout, id);
  await requireSpec(machine);
  const record = await readBoot(machine);
  if (record === undefined || !isRunningBoot(record)) {
    throw new RingwallError('conflict', 'the machine does not run', { hint: 'start it first: ringwall start NAME' });
  }
  const claim = context.holders.claim(id, stream);
  try {
    const vmm = await connectToVmm(...placeOf(stream, machine, record));
    claim.carries(vmm);
    vmm.once('close', () => claim[Symbol.dispose]());
    // The asker may be gone before it takes its stream, and then nothing else would let go of this one.
    vmm.on('error', () => vmm.destroy());
    if (call.signal.aborted) vmm.destroy();
    call.signal.addEventListener('abort', () => vmm.destroy(), { once: true });
    call.upgrade((asker) => joinStreams(asker, vmm));
  } catch (error) {
    claim[Symbol.dispose]();
    throw error;
  }
  return {};
}

/** The socket, and the user who must have made it. */
function placeOf(
  stream: 'console' | 'attest',
  machine: MachineLayout,
  { vmm, witness }: RunningBoot,
): [path: string, uid: number] {
  if (stream === 'console') return [machine.consoleSocket, vmm.uid];
  return witness === undefined ? [machine.attestSocket, vmm.uid] : [machine.witnessSocket, witness.uid];
}

export async function readConsole(context: WardenContext, id: MachineId, bytes: number): Promise<{ text: string }> {
  const machine = machineLayout(context.layout, id);
  await requireSpec(machine);
  return { text: Buffer.from(await readConsoleTail(machine, bytes)).toString('base64') };
}
