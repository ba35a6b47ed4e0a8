import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { Host, Peer, type Route } from '../../proto/gen/headgate/v1/configured.ts';
import type { Resource } from '../../lib/sync/index.ts';
import { fleetOf, type SmallFleet, storeEntries } from '../../test/hub/small-fleet.ts';
import type { FleetVersion } from '../fleet/fleet-draft.ts';
import { compileHost } from './compile-host.ts';
import { compilePeers } from './compile-peers.ts';
import { policyStatuses } from './policy/statuses.ts';
import type { CompiledHost, ObjectStatus } from './types.ts';

// UPDATE_GOLDEN=1 writes what compile gives now; read the difference before committing it.
const update = process.env['UPDATE_GOLDEN'] === '1';
const folder = join(import.meta.dirname, 'testdata');
const cases = readdirSync(folder)
  .filter((name) => name.endsWith('.in.yaml'))
  .map((name) => basename(name, '.in.yaml'))
  .sort();

describe('golden', () => {
  test.each(cases)('%s', (name) => {
    const text = readFileSync(join(folder, `${name}.in.yaml`), 'utf8');
    const entries = storeEntries(parse(text) as SmallFleet);
    const seen = picture(fleetOf(entries));
    // The same bytes whatever order the state was built in; digests are part of the picture.
    expect(picture(fleetOf(entries.toReversed()))).toBe(seen);
    expect(picture(fleetOf(rotate(entries, 3)))).toBe(seen);
    // And whether built at once or step by step.
    let version: FleetVersion | undefined;
    for (const entry of entries) version = fleetOf([entry], version);
    expect(version === undefined ? '' : picture(version)).toBe(seen);

    const file = join(folder, `${name}.out.yaml`);
    if (update) writeFileSync(file, seen);
    expect(seen).toBe(readFileSync(file, 'utf8'));
  });
});

function rotate<T>(list: readonly T[], by: number): T[] {
  return [...list.slice(by), ...list.slice(0, by)];
}

function picture({ state, index }: FleetVersion): string {
  const hosts: Record<string, unknown> = {};
  for (const name of [...index.hosts.keys()].sort()) {
    const compiled = compileHost(state, index, name);
    if (compiled !== undefined) hosts[name] = pictureHost(compiled);
  }
  const peers = [...compilePeers(state).values()].map((peer) => pictureMessage(Peer.decode(peer.body)));
  return stringify(
    { hosts, policies: policyStatuses(state, (host) => compileHost(state, index, host)).map(pictureStatus), peers },
    { lineWidth: 0, aliasDuplicateObjects: false },
  );
}

function pictureHost(compiled: CompiledHost): unknown {
  const origins: Record<string, unknown> = {};
  for (const [route, entries] of compiled.origins) {
    for (const [entry, fields] of entries) {
      const set = fields.filter(({ winner }) => winner !== 'default');
      if (set.length > 0) origins[`${route} ${entry === '' ? 'everywhere' : entry}`] = set;
    }
  }
  return {
    recipients: compiled.recipients,
    body: pictureBody(compiled.body),
    variants: Object.fromEntries([...compiled.variants].map(([entry, body]) => [entry, pictureBody(body)])),
    backends: Object.fromEntries([...compiled.backends].map(([c, list]) => [c, list.map(({ name }) => name)])),
    statuses: compiled.statuses.map(pictureStatus),
    origins,
  };
}

function pictureBody(body: Resource | undefined): unknown {
  if (body === undefined) return null;
  const { namespace, routes, defaultRoute } = Host.decode(body.body);
  return {
    digest: body.digest.slice(0, 16),
    namespace,
    routes: routes.map(pictureRoute),
    ...(defaultRoute === undefined ? {} : { default: pictureRoute(defaultRoute) }),
  };
}

function pictureRoute({ id, pathType, path, contributions, traffic, backendSettings }: Route): unknown {
  return {
    route: `${pathType === 1 ? 'Exact' : 'Prefix'} ${path} ${id}`,
    contributions: Object.fromEntries(contributions.map((c) => [c.cluster, `${c.backend} ready ${c.ready}`])),
    ...(traffic === undefined ? {} : { traffic: pictureMessage(traffic) }),
    ...(backendSettings === undefined ? {} : { backendSettings: pictureMessage(backendSettings) }),
  };
}

function pictureStatus(status: ObjectStatus): string {
  const { kind, namespace, name, cluster, accepted, reason, code, field, message, remedy } = status;
  const where = cluster === undefined ? 'at hub' : `in ${cluster}`;
  const how = `${accepted ? 'accepted' : 'refused'} ${reason} ${code ?? ''}`;
  return `${kind} ${namespace}/${name} ${where} ${field ?? ''}: ${how}: ${message}; ${remedy ?? ''}`;
}

function pictureMessage(message: unknown): unknown {
  return JSON.parse(
    JSON.stringify(message, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)),
  );
}
