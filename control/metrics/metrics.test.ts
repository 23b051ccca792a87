import { newMachineId } from '@ringwall/api';
import type { NetworkCounters } from '@ringwall/api/counters';
import type { ShownNetwork } from '@ringwall/api/networks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { World } from '../machines/testing/index.ts';
import { Metrics, SERIES_LIMIT } from './metrics.ts';

const NETWORK: ShownNetwork = {
  ...{ id: 'net_aaaaaaaaaaaaaaaaaaaa', tenant: 'default', name: 'app', version: 1 },
  createdAt: '2026-11-21T12:00:00.000Z',
  spec: { definition: {} },
  status: { state: 'in-force', machines: 2 },
};

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

function countersOf(machines: number, rules: number): NetworkCounters {
  const counted = { packets: 1, bytes: 60 };
  return {
    network: 'app',
    refused: [{ reason: 'refused', ...counted }],
    putBack: 4,
    connections: { known: 3, limit: 100 },
    out: { sent: counted, received: counted, refused: [{ reason: 'protected', ...counted }] },
    rules: Array.from({ length: rules }, (_, index) => ({
      rules: [{ name: `r${index}`, action: 'deny' as const }],
      connections: index,
    })),
    machines: Array.from({ length: machines }, (_, index) => ({
      ...{ name: `m${index}`, sent: counted, received: counted, late: 2 },
      refused: [{ reason: 'spoofed', ...counted }],
    })),
  };
}

function metricsOf(read: () => Promise<NetworkCounters>): Metrics {
  const { store, host, worker } = world;
  return new Metrics({
    ...{ store, host, operations: worker.operations, version: '1.2.3' },
    networks: { list: async () => [NETWORK] },
    counters: { read },
  });
}

describe('metrics', () => {
  it('say what there is, and what was counted of whom', async () => {
    using metrics = metricsOf(async () => countersOf(1, 1));
    await world.store.appendEvent({ kind: 'machine.quarantined', machine: newMachineId(), message: 'web ran a stray' });
    const text = await metrics.render('prometheus');
    for (const line of [
      'ringwall_build_info{version="1.2.3"} 1',
      'ringwall_process_up{process="ringwall-warden"} 1',
      'ringwall_machines{phase="running",trust="quarantined"} 0',
      'ringwall_events_total{kind="machine.quarantined"} 1',
      'ringwall_network_in_force{network="app"} 1',
      'ringwall_network_counted{network="app"} 1',
      'ringwall_network_connections{network="app"} 3',
      'ringwall_network_refused_packets_total{network="app",reason="refused"} 1',
      'ringwall_network_rules_put_back_total{network="app"} 4',
      'ringwall_network_rule_connections_total{network="app",rule="r0",action="deny"} 0',
      'ringwall_network_out_sent_bytes_total{network="app"} 60',
      'ringwall_network_out_received_packets_total{network="app"} 1',
      'ringwall_network_out_refused_packets_total{network="app",reason="protected"} 1',
      'ringwall_machine_sent_bytes_total{network="app",machine="m0"} 60',
      'ringwall_machine_receive_dropped_packets_total{network="app",machine="m0"} 2',
      'ringwall_machine_refused_packets_total{network="app",machine="m0",reason="spoofed"} 1',
      'ringwall_metrics_left_out{what="machines"} 0',
    ]) {
      expect(text.split('\n')).toContain(line);
    }
  });

  it('are of so many machines and rules, and say how many are left out', async () => {
    using metrics = metricsOf(async () => countersOf(SERIES_LIMIT + 3, SERIES_LIMIT + 4));
    const lines = (await metrics.render('openmetrics')).split('\n');
    expect(lines.filter((line) => line.startsWith('ringwall_machine_sent_bytes_total'))).toHaveLength(SERIES_LIMIT);
    expect(lines).toContain('ringwall_metrics_left_out{what="machines"} 3');
    expect(lines).toContain('ringwall_metrics_left_out{what="rules"} 4');
  });

  it('are collected once for all who ask in the same moment', async () => {
    let times = 0;
    using metrics = metricsOf(async () => {
      times += 1;
      return countersOf(1, 1);
    });
    await Promise.all([metrics.render('prometheus'), metrics.render('openmetrics')]);
    await metrics.render('prometheus');
    expect(times).toBe(1);
  });

  it('are there without those of a network that cannot be read', async () => {
    using metrics = metricsOf(() => Promise.reject(new Error('the warden does not answer')));
    const lines = (await metrics.render('prometheus')).split('\n');
    expect(lines).toContain('ringwall_network_counted{network="app"} 0');
    expect(lines.some((line) => line.startsWith('ringwall_machine_'))).toBe(false);
  });
});
