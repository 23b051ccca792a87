// What carries commands to a TPM and its answers back. The bytes are whole commands and whole responses.

/** Implementations bound the size and the time of an answer; the client sends one command at a time. */
export interface Transport {
  send(command: Uint8Array): Promise<Uint8Array>;
}
