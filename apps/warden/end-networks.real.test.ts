// What stands of networks when no process of Ringwall runs, and that nothing of it is left by whoever removes Ringwall. The host that the
// warden takes for its own is a namespace.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newNetworkId } from '@ringwall/api';
import { networkLayout } from '@ringwall/control/warden';
import { run, runChecked } from '@ringwall/host/exec';
import { closeNamespace, isNamespace, pinNamespace } from '@ringwall/host/network';
import { expect, it } from 'vitest';
import { NETWORK_COMPONENTS, SWITCH_COMPONENTS } from './components.ts';
import { lacksForWarden, TestWarden, wardenArgv } from './testing/warden-process.ts';

const missing = [...NETWORK_COMPONENTS, ...SWITCH_COMPONENTS].filter(({ path }) => !existsSync(path));
const names = missing.map((component) => component.package).join(', ');
const lacks = lacksForWarden() ?? (missing.length === 0 ? undefined : `skipped: needs ${names}`);
const SETTING = {
  version: 1,
  uplink: { interface: 'eth1' },
  addresses: ['198.51.100.2/24'],
  gateways: ['198.51.100.1'],
};

it.skipIf(lacks !== undefined)(
  `what stands of networks stands on without a warden, and --end-networks leaves nothing of it${lacks === undefined ? '' : ` (${lacks})`}`,
  async () => {
    const dir = mkdtempSync('/var/tmp/ringwall-end-');
    const host = join(dir, 'host');
    const onHost = await pinNamespace(run, host);
    const before = ['/usr/bin/nsenter', `--net=${host}`, '--'];
    const interfaces = async (): Promise<string> =>
      (await runChecked(onHost, ['/usr/sbin/ip', '-br', 'link'])).stdout.toString();
    let warden: TestWarden | undefined;
    const endNetworks = () => runChecked(run, [...before, ...wardenArgv(dir), '--end-networks'], { timeoutMs: 60_000 });
    try {
      await runChecked(onHost, [...'/usr/sbin/ip link add eth1 type veth peer name far'.split(' ')]);
      warden = await TestWarden.start({ dir, image: false, before });
      const [routed, switched] = [newNetworkId(), newNetworkId()];
      const shape = { name: 'app', addresses: ['10.20.0.0/24'], internet: 'nat', rules: [] };
      const other = { name: 'segment', addresses: ['10.21.0.0/24'], mode: 'openvswitch', rules: [] };
      await warden.client.call({ op: 'apply-network', network: routed, definition: shape, machines: [] });
      await warden.client.call({ op: 'apply-network', network: switched, definition: other, machines: [] });
      writeFileSync(warden.layout.egress, JSON.stringify(SETTING), { mode: 0o600 });
      expect(await warden.client.call({ op: 'look-at-way-out' })).toMatchObject({ state: 'on' });
      const { layout } = warden;
      const pins = [layout.edge, ...[routed, switched].map((id) => networkLayout(layout, id).pin)];

      await warden.end('SIGTERM');
      expect(await Promise.all(pins.map((pin) => isNamespace(pin)))).toEqual([true, true, true]);
      expect(await interfaces()).not.toContain('eth1');
      expect(warden.leftovers().filter((each) => each.startsWith('lease')).length).toBeGreaterThan(1);

      await endNetworks();
      expect(await Promise.all(pins.map((pin) => isNamespace(pin)))).toEqual([false, false, false]);
      expect(await interfaces()).toContain('eth1');
      expect(warden.leftovers()).toEqual([]);
    } finally {
      await warden?.end('SIGKILL');
      await endNetworks();
      await closeNamespace(run, host);
      rmSync(dir, { recursive: true, force: true });
    }
  },
);
