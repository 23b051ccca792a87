// The public names of @ringwall/host/tpm: transports to a TPM, which `tpmOver` of @ringwall/tpm speaks over.
export { DeviceTransport, openTpmDevice, TPM_DEVICE, type TpmDeviceFile } from './device.ts';
export { type TransportOptions } from './limits.ts';
export { openTpmSocket, SocketTransport, type TpmAddress } from './socket.ts';
