// `ringwall __complete`: candidates for a shell. It starts nothing and fails silently: a Tab must not do more than look.
import { ApiClient } from '../api-client.ts';
import { argumentOf, type Invocation } from '../invocation.ts';

export async function run(invocation: Invocation): Promise<void> {
  try {
    for (const candidate of await candidates(invocation, argumentOf(invocation, 0))) invocation.out.line(candidate);
  } catch {
    // Where nothing answers there is nothing to offer.
  }
}

async function candidates({ paths, installation }: Invocation, kind: string): Promise<string[]> {
  const api = new ApiClient(paths.apiSocket);
  if (kind === 'machine') return (await api.call('listMachines')).machines.map(({ name }) => name);
  if (kind === 'image') return (await api.call('listImages')).images.map(({ name }) => name);
  if (kind === 'drill') {
    const { loadDrills } = await import('../drills.ts');
    return (await loadDrills(installation)).drills.map(({ name }) => name);
  }
  return [];
}
