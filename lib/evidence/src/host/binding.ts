// What binds a host to the TPMs of its machines: its evidence vouches for a CA, and that CA signed the machine's EK
// certificate. So a machine's proof and a host's are of one computer, as long as nobody else has that CA's key.
import { isVerified, type Verified } from '../verified.ts';
import { isSignedBy, parseCertificate, type X509Certificate } from '../x509.ts';
import type { HostEvidence } from './evidence.ts';

/** Whether the CA that a host vouched for, in evidence that passed its judgement, signed this EK certificate. */
export async function certifiedEk(host: Verified<HostEvidence>, ekCertificate: X509Certificate): Promise<boolean> {
  if (!isVerified(host)) throw new TypeError('evidence that did not come out of a passed judgement');
  return isSignedBy(ekCertificate, parseCertificate(host.vtpmCa));
}
