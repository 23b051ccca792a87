// What tpm2_eventlog prints of a log, as far as every event has it.

export interface PrintedEvent {
  readonly pcr: number;
  readonly type: string;
  readonly digests: string[];
  readonly size: number;
}

/** The fields of tpm2_eventlog's YAML that stand in every event. Its older output leaves out the list's dashes. */
export function readYamlEvents(yaml: string): readonly PrintedEvent[] {
  const events = yaml.split(/^(?:- EventNum: \d+\n)? {2}PCRIndex: /m).slice(1);
  return events.map((text) => ({
    pcr: Number.parseInt(text, 10),
    type: /^ {2}EventType: (\S+)$/m.exec(text)?.[1] ?? '',
    digests: [...text.matchAll(/^ {2,4}Digest: "([0-9a-f]+)"$/gm)].map((match) => match[1] ?? ''),
    size: Number(/^ {2}EventSize: (\d+)$/m.exec(text)?.[1]),
  }));
}
