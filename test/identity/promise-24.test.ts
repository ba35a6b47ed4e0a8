import { expect, test } from 'vitest';
import { HeadgateError } from '../../lib/errors.ts';
import { dialRpc } from '../../lib/rpc/index.ts';
import { identityFleet } from './fleet.fixture.ts';

test('promise-24 revocation closes the live streams of a removed cluster, and only those', async () => {
  const live = { eu: Promise.withResolvers<void>(), us: Promise.withResolvers<void>() };
  await using fleet = await identityFleet({
    report: async ({ identity }, pipe) => {
      if (identity.kind === 'cluster' && (identity.cluster === 'eu' || identity.cluster === 'us')) {
        live[identity.cluster].resolve();
      }
      for await (const frame of pipe.frames) expect(frame).toBeUndefined();
    },
  });
  const { tokens, revocations } = fleet.hub;
  const connect = async (cluster: 'eu' | 'us') => {
    const join = { token: await tokens.add(cluster, 'cluster') };
    const agent = await fleet.agent({ folder: cluster, cluster, clusterUid: `uid-of-${cluster}`, join });
    const tls = agent.current().control;
    const dial = () => dialRpc({ address: fleet.server.address, tls, expect: ({ kind }) => kind === 'hub' });
    return { connection: dial(), dial };
  };
  const [eu, us] = [await connect('eu'), await connect('us')];
  const [gone, staying] = [eu.connection.report(), us.connection.report()];
  await Promise.all([live.eu.promise, live.us.promise]);

  const frames = gone.frames[Symbol.asyncIterator]();
  const broken = frames.next().catch((error: unknown) => error);
  const started = performance.now();
  await tokens.removeCluster('eu', revocations);
  expect(await broken).toBeInstanceOf(HeadgateError);
  const elapsed = performance.now() - started;
  process.stdout.write(`promise-24 revocation: live stream closed after ${elapsed.toFixed(0)} ms\n`);
  expect(elapsed).toBeLessThan(5_000);

  using again = eu.dial();
  await expect(again.report().frames[Symbol.asyncIterator]().next()).rejects.toBeInstanceOf(HeadgateError);
  // The other cluster's connection still answers.
  expect((await us.connection.nonce()).nonce.length).toBeGreaterThan(0);
  staying.close();
  us.connection.close();
  eu.connection.close();
});
