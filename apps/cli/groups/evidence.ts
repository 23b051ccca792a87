// Proofs, reference values and drills: their commands, as data.
import { MACHINE, type Command } from '../command.ts';

export const EVIDENCE_COMMANDS: readonly Command[] = [
  {
    name: 'prove',
    group: 'Evidence',
    summary: 'write the proof of what a machine booted',
    description:
      'The proof bundle holds the evidence of the last judged boot, the policy and the expected measurements it was ' +
      'judged by, the verdict, and the signature of the broker. Anyone can check it with `verify`, offline.',
    arguments: [MACHINE],
    options: [
      {
        name: 'output',
        short: 'o',
        value: 'FILE',
        complete: 'file',
        summary: 'where to; else NAME.proof.json, and - is standard output',
      },
      { name: 'ear', summary: 'the result alone, as a JWT with EAR claims (draft-ietf-rats-ear)' },
    ],
    examples: [
      { line: 'prove hello -o proof.json', says: 'then give proof.json to whoever doubts' },
      { line: 'prove hello --ear', says: 'a signed attestation result (EAR, JWT) for other systems' },
    ],
    exits: ['notFound', 'unavailable'],
    load: () => import('../commands/prove.ts'),
  },
  {
    name: 'verify',
    group: 'Evidence',
    summary: 'check a proof offline, and explain it; or the record of an erasure',
    description:
      'Needs no services, no network and no root. A proof counts only by the key of a broker that you trust: that of ' +
      'this host, where `prove` was run on it, or the one that you name. Without, it can only be said to agree with itself.',
    arguments: [{ name: 'FILE', complete: 'file' }],
    options: [
      { name: 'broker-key', value: 'KEY', complete: 'file', summary: 'key of the broker you trust, or a file with it' },
      { name: 'ca', value: 'FILE', complete: 'file', summary: 'the vTPM authority you trust, as PEM or DER' },
      {
        name: 'host',
        value: 'FILE',
        complete: 'file',
        summary: 'what the host is that you trust, as `reference host` wrote it',
      },
      { name: 'reference', value: 'FILE', complete: 'file', summary: 'reference values that you trust, signed or not' },
      {
        name: 'reference-key',
        value: 'KEY',
        complete: 'file',
        summary: 'whose word on reference values you take: in that file, or in the proof',
      },
      { name: 'page', value: 'FILE', complete: 'file', summary: 'also write the page that judges proofs in a browser' },
    ],
    examples: [
      { line: 'verify proof.json', says: 'exit code 0 only where it is proven' },
      { line: 'verify proof.json --broker-key broker.key', says: 'on any other machine' },
      {
        line: 'verify proof.json --reference-key our.key',
        says: 'what it must measure is your own word',
      },
    ],
    exits: ['notFound', 'refused', 'unanchored'],
    load: () => import('../commands/verify.ts'),
  },
  {
    name: 'why',
    group: 'Evidence',
    summary: 'say why a machine was judged as it was, event by event',
    description:
      'Compares what the machine measured last with what is expected of it now, and with its last good boot: what changed, ' +
      'which file it is, and which package that file came from, where that is known.',
    arguments: [MACHINE],
    examples: [{ line: 'why hello', says: 'after a refusal, before anything is accepted' }],
    exits: ['notFound', 'unavailable'],
    load: () => import('../commands/why.ts'),
  },
  {
    name: 'reference',
    group: 'Evidence',
    summary: 'what images must measure: list it, and review and accept an update',
    description:
      'The broker releases keys to machines that measured what is accepted for their image. The first version of an image on ' +
      'this host is accepted as it is. When the image, its kernel or the firmware changes, machines are refused at their next ' +
      'start until somebody has looked at the change (diff), has seen what it would have meant for the evidence that was kept ' +
      '(try), and has accepted it. In the place of an image, a file may be named: reference values that somebody else signed, ' +
      'or a policy. Whoever wants their own word to count computes the values from loose artefacts that a file names, or signs ' +
      'those of somebody else, with a key of their own and offline. A host with a TPM of its own is enrolled (host), so that proofs of its machines can contain it.',
    forms: [
      'reference',
      'reference build IMAGE',
      'reference build|sign FILE --key KEY -o FILE',
      'reference host -o FILE',
      'reference diff|try|accept IMAGE|FILE',
    ],
    arguments: [
      { name: 'ACTION', optional: true, complete: ['build', 'sign', 'host', 'diff', 'try', 'accept'] },
      { name: 'IMAGE', optional: true, complete: 'image' },
    ],
    options: [
      { name: 'output', short: 'o', value: 'FILE', complete: 'file', summary: 'of build and host: write it to a file' },
      { name: 'key', value: 'FILE', complete: 'file', summary: 'of build and sign: your P-256 key, PKCS#8 in PEM' },
      { name: 'by', value: 'NAME', complete: 'none', summary: 'of build and sign: your name, for people' },
      { name: 'days', value: 'N', complete: 'none', summary: 'of build and sign: how long they count, at most 730' },
      {
        name: 'policy',
        value: 'FILE',
        complete: 'file',
        summary: 'of host: write a policy that demands this host’s proof, too',
      },
      { name: 'everything', summary: 'of host: with all that has run on it; the policy then refuses anything else' },
    ],
    examples: [
      { line: 'reference', says: 'what is accepted, and what waits' },
      { line: 'reference build hello', says: 'after the image was built anew, before machines start from it' },
      { line: 'reference diff hello', says: 'what would change, as sentences' },
      { line: 'reference try hello', says: 'a dry run over the evidence of all machines' },
      { line: 'reference accept hello', says: 'one step, in force at once' },
      {
        line: 'reference build ./boot.json --key our.pem -o ours.json',
        says: 'from kernel, initrd, firmware, by your word',
      },
      { line: 'reference host -o host.json --policy policy.json', says: 'then accept both' },
    ],
    exits: ['notFound', 'unavailable', 'conflict'],
    load: () => import('../commands/reference.ts'),
  },
  {
    name: 'drill',
    group: 'Evidence',
    summary: 'run the attacks that Ringwall claims to stop, without it and with it',
    arguments: [{ name: 'NAME', optional: true, many: true, complete: 'drill' }],
    options: [
      { name: 'list', summary: 'say which drills there are' },
      { name: 'output', short: 'o', value: 'FILE', complete: 'file', summary: 'write the results as JSON, too' },
    ],
    examples: [
      { line: 'drill', says: 'all of them; they are harmless and clean up' },
      { line: 'drill disk-theft', says: 'one of them' },
    ],
    exits: ['notFound', 'refused', 'hostLacks'],
    load: () => import('../commands/drill.ts'),
  },
];
