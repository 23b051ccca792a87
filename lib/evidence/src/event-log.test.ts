// The checklist's demands on logs, as a judgement meets them: what a forged, relabelled or incomplete log comes to.
import { utf8 } from '@ringwall/bytes';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  encodeLog,
  event,
  indexOf,
  realEvents,
  replay,
  sha256,
  withEvent,
  type TestEvent,
} from '../testing/event-log.ts';
import { failed, makeScene, type Scene } from '../testing/scene.ts';

const EV_SEPARATOR = 4;
const EV_IPL = 0xd;
const EV_EFI_VARIABLE_DRIVER_CONFIG = 0x8000_0001;
const EV_EFI_ACTION = 0x8000_0007;
const SECURE_BOOT = indexOf(7, EV_EFI_VARIABLE_DRIVER_CONFIG);
const SEPARATOR = indexOf(7, EV_SEPARATOR);
const EXITED = indexOf(5, EV_EFI_ACTION, 1);

let scene: Scene;
beforeAll(async () => {
  scene = await makeScene();
});

const refusalOf = async (events: readonly TestEvent[]): Promise<readonly string[]> =>
  failed(await scene.judge(await scene.evidence({ events })));

describe('checklist 7: event type is never authenticated', () => {
  it('an unknown type is refused, its digest as expected', async () => {
    expect(await refusalOf(withEvent(SECURE_BOOT, { type: 0x8000_00ff }))).toEqual(['events']);
  });

  it('a type of another PCR’s grammar is refused, its digest as expected', async () => {
    expect(await refusalOf(withEvent(SECURE_BOOT, { type: EV_IPL }))).toEqual(['events']);
  });

  it('a second separator is refused', async () => {
    const twice = [...realEvents.slice(0, SEPARATOR), event(7, EV_SEPARATOR, new Uint8Array(4))];
    expect(await refusalOf([...twice, ...realEvents.slice(SEPARATOR)])).toEqual(['events']);
  });

  it('what configures behind the separator is refused', async () => {
    const moved = realEvents.filter((_, at) => at !== SECURE_BOOT);
    const secureBoot = realEvents[SECURE_BOOT];
    expect(await refusalOf(secureBoot === undefined ? [] : [...moved, secureBoot])).toEqual(['events']);
  });
});

describe('checklist 8: event data used only where its hash is the digest', () => {
  it('data that was rewritten beside its digest is refused', async () => {
    const data = realEvents[SECURE_BOOT]?.data ?? new Uint8Array();
    const on = new Uint8Array([...data.subarray(0, -1), 1]);
    expect(await refusalOf(withEvent(SECURE_BOOT, { data: on }))).toEqual(['log-data']);
  });
});

describe('checklist 9: EV_NO_ACTION never extends', () => {
  it('an event that the log calls EV_NO_ACTION is missing from its PCR', async () => {
    const quoted = replay(realEvents);
    const hidden = encodeLog(withEvent(SECURE_BOOT, { type: 3 }));
    const judgement = await scene.judge(await scene.evidence({ eventLog: hidden, pcrValues: quoted }));
    expect(failed(judgement)).toContain('log-replay');
  });

  it('a PCR above 23 is refused', async () => {
    expect(await refusalOf([...realEvents, event(24, EV_IPL, utf8('x'))])).toContain('log-form');
  });
});

describe('checklist 10: what the log does not say, and what comes after it', () => {
  it('a non-zero quoted PCR with no events is refused', async () => {
    const pcrValues = new Map([...replay(realEvents), [12, sha256(utf8('somebody extended it'))]]);
    expect(failed(await scene.judge(await scene.evidence({ pcrValues })))).toContain('log-replay');
  });

  it('an extend after ExitBootServices cannot pose as an event of the boot', async () => {
    expect(realEvents[EXITED]?.data).toEqual(utf8('Exit Boot Services Returned with Success'));
    expect(await refusalOf([...realEvents, event(4, 0x8000_0003, utf8('an application'))])).toEqual(['events']);
  });
});

describe('a log that was judged before', () => {
  const rewritten = (): readonly TestEvent[] => {
    const data = realEvents[SECURE_BOOT]?.data ?? new Uint8Array();
    return withEvent(SECURE_BOOT, { data: new Uint8Array([...data.subarray(0, -1), 1]) });
  };

  it('is no reason to believe another with the same digests', async () => {
    expect(await refusalOf(realEvents)).toEqual([]);
    expect(await refusalOf(rewritten())).toEqual(['log-data']);
    expect(await refusalOf(realEvents)).toEqual([]);
  });

  it('is laid beside the reference that is asked about', async () => {
    const evidence = await scene.evidence();
    const { events } = scene.reference;
    const shorter = { ...scene.reference, events: events.slice(1) };
    expect(failed(await scene.judge(evidence))).toEqual([]);
    expect(failed(await scene.judge(evidence, { reference: shorter }))).toEqual(['events']);
  });

  it('cannot be judged otherwise by whoever changes an earlier verdict', async () => {
    const evidence = await scene.evidence();
    const [first] = (await scene.judge(evidence)).verdict.events;
    expect(() => Object.assign(first ?? {}, { status: 'denied' })).toThrow(TypeError);
    expect(failed(await scene.judge(evidence))).toEqual([]);
  });
});
