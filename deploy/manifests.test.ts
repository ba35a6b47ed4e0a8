import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import rolldown from '../rolldown.config.ts';
import { containersOf, understand, withEnvironment } from './containers.fixture.ts';

const files = globSync('manifests/*.yaml', { cwd: import.meta.dirname }).sort();
const ENVIRONMENT = { NODE_NAME: 'node-1', POD_IP: '10.244.0.7', HOST_IP: '192.0.2.7' };

test.each(files)('the program understands every container of %s', async (file) => {
  const containers = containersOf(readFileSync(join(import.meta.dirname, file), 'utf8'));
  const ours = containers.filter(({ command }) => command === undefined);
  for (const { args } of ours) await understand(withEnvironment(args, ENVIRONMENT));
  expect(ours.map(({ place }) => basename(place))).toEqual(
    file.endsWith('/hub.yaml') ? ['hub'] : ['render', 'agent', 'agent'],
  );
});

test('a flag that the program lacks, and a value that it refuses, are seen', async () => {
  const agent = ['agent', '--roles=node', '--cluster=eu', '--data=/d', '--hub=h:1'];
  await expect(understand(agent)).resolves.toBeUndefined();
  await expect(understand([...agent, '--nope'])).rejects.toThrow("unknown option '--nope'");
  await expect(understand([...agent, '--advertise=name:1'])).rejects.toThrow('--advertise needs an IP address');
  await expect(understand(['agent', 'render', '--cluster=EU', '--data=/d'])).rejects.toThrow('--cluster');
});

test('the image has every program that a probe or a hook runs', () => {
  const dockerfile = readFileSync(join(import.meta.dirname, 'image/Dockerfile'), 'utf8');
  const tools = new Set(
    files.flatMap((file) =>
      [...readFileSync(join(import.meta.dirname, file), 'utf8').matchAll(/\/usr\/local\/bin\/([\w-]+)/g)].map(
        ([, name = '']) => name,
      ),
    ),
  );
  expect([...tools].sort()).toEqual(['haproxy-alive', 'haproxy-drain']);
  for (const tool of tools) {
    expect(Object.keys(rolldown.input)).toContain(tool);
    expect(dockerfile).toContain(tool);
  }
});
