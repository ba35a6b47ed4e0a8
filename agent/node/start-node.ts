import { join } from 'node:path';

import { formatAddress } from '../../lib/config/address.ts';
import { VERSION } from '../../lib/version.ts';
import type { AgentContext } from '../context.ts';
import type { DataPlane } from '../haproxy/data-plane.ts';
import { openDataPlane } from '../haproxy/haproxy-data-plane.ts';
import { chooseHaproxyFolder } from '../haproxy/process/haproxy-folder.ts';
import { openLedger } from '../ledger/open-ledger.ts';
import type { Ledger } from '../ledger/types.ts';
import { registerDataPlaneMetrics, registerDiskMetrics } from '../metrics.ts';
import { dataPlaneOptions } from './data-plane-options.ts';
import { NodeAgent } from './node-agent.ts';

/** Starts the node role; resolves when HAProxy's listeners serve, last good configuration included. */
export async function startNode(context: AgentContext): Promise<{ agent: NodeAgent; dataPlane: DataPlane }> {
  const { options, identity, keyFile, clock, log, signal, draining, resources } = context;
  const ledger = resources.use(await openLedger({ folder: join(options.data, 'ledger'), keyFile, log }));
  if (ledger.loaded.problem !== undefined) {
    log.warn('the ledger was damaged', { from: ledger.loaded.from, problem: ledger.loaded.problem });
  }
  const { folder, problem } = options.haproxyExternal
    ? { folder: join(options.data, 'haproxy'), problem: undefined }
    : await chooseHaproxyFolder(options.data);
  if (problem !== undefined) log.warn('HAProxy is not in the data folder', { folder, problem });
  const dataPlane = resources.use(
    await openDataPlane(
      {
        ...dataPlaneOptions(options, folder, options.haproxyExternal, identity.current().gateway),
        agentListeners: new Map([
          ...(options.listenNodes === undefined
            ? []
            : [['the nodes listener', formatAddress(options.listenNodes)] as const]),
          ['the ops listener', formatAddress(options.ops)] as const,
        ]),
      },
      {
        clock,
        log,
        signal,
        onRejected: (verdicts) => agent.judge(verdicts),
        onHealth: (out) => agent.tellHealth(out),
      },
    ),
  );
  const agent: NodeAgent = new NodeAgent({
    node: options.node,
    version: VERSION,
    gatewayAddress: () =>
      options.advertise === undefined ? dataPlane.status().gateway : formatAddress(options.advertise),
    ledger,
    dataPlane,
    clock,
    log,
  });
  context.checks.push({
    name: 'haproxy',
    check: () => (dataPlane.status().ready ? undefined : dataPlane.status().reason),
    note: () => {
      const { reason, note } = dataPlane.status();
      return [reason, note, problem ?? ''].filter((words) => words !== '').join('; ');
    },
  });
  await agent.start();
  draining.addEventListener('abort', () => agent.leave(), { once: true });
  resources.defer(
    identity.onChange(({ gateway }) => {
      dataPlane.setGateway(gateway).catch((error: unknown) => log.error('cannot renew the gateway', { error }));
    }),
  );
  registerDataPlaneMetrics(context.registry, () => dataPlane.status());
  context.checks.push({ name: 'ledger', check: () => undefined, note: () => ledgerNote(ledger) });
  registerDiskMetrics(context.registry, () => ledger.trouble === undefined && !dataPlane.status().filesBehind);
  const { http, https, gateway } = dataPlane.status();
  Object.assign(context.fields, { http, https, gateway });
  context.keep(agent.run(signal));
  return { agent, dataPlane };
}

/** A node serves on without its ledger; what is wrong with it is told all the same. */
function ledgerNote({ loaded, trouble }: Ledger): string {
  const damaged =
    loaded.problem === undefined
      ? []
      : [loaded.from === 'previous' ? `the previous generation was loaded: ${loaded.problem}` : loaded.problem];
  return [...(trouble === undefined ? [] : [trouble]), ...damaged].join('; ');
}
