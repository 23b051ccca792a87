// The one error class of this package: a closed code for programs, a sentence for people, and where in the policy it is.

export const NETPOLICY_ERROR_CODES = [
  'malformed', // not what the schema says
  'name-invalid', // a name that could be read as syntax of something else
  'address-invalid', // no address, no range, or one that no network can have
  'overlap', // two ranges, machines or rules want the same
  'unknown-label', // a label that the network does not declare
  'service-invalid', // no protocol, port or ICMP type
  'time-invalid', // no time, or an end before its beginning
  'too-many', // more of something than a named limit allows
  'too-complex', // each rule may stand, but together they multiply beyond a named limit
] as const;

export type NetPolicyErrorCode = (typeof NETPOLICY_ERROR_CODES)[number];

export class NetPolicyError extends Error {
  override readonly name = 'NetPolicyError';
  readonly code: NetPolicyErrorCode;
  /** Where it is, as in `networks[0].rules[3].from`; empty where the whole is meant. */
  readonly at: string;

  constructor(code: NetPolicyErrorCode, at: string, message: string) {
    super(at === '' ? message : `${at}: ${message}`);
    this.code = code;
    this.at = at;
  }
}
