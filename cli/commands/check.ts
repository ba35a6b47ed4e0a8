import { X509Certificate } from 'node:crypto';
import type { CertificateItem, ListResponse, StatusResponse } from '../../hub/api/types.ts';
import { probeHaproxy } from '../../agent/haproxy/process/probe.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { type HubClient, connectHub, pathOf } from '../client.ts';
import { loadContext } from '../config.ts';
import { Exit, exitCodes } from '../exit.ts';
import type { Globals } from '../globals.ts';
import { limits } from '../haproxy-limits.ts';
import { cell, printJson, stdout } from '../output.ts';

/** `warn` is worth knowing and no failure. */
export interface Finding {
  readonly result: 'ok' | 'warn' | 'fail';
  readonly what: string;
  readonly remedy?: string;
}

const DAY = 86_400_000;
/** Milliseconds before its end at which a certificate is worth a word. */
const SOON = 14 * DAY;
const marks = { ok: '√', warn: '!', fail: '×' } as const;

export async function check(
  flags: { readonly haproxy: string; readonly output?: string },
  globals: Globals,
): Promise<void> {
  const findings = [
    checkNode(process.versions.node),
    ...(await checkHaproxy(flags.haproxy)),
    ...(await checkHub(globals)),
  ];
  if (flags.output === 'json') printJson(stdout, { items: findings });
  else {
    for (const { result, what, remedy } of findings) {
      stdout.write(`${marks[result]} ${cell(what)}${remedy === undefined ? '' : `; ${cell(remedy)}`}\n`);
    }
  }
  if (findings.some((finding) => finding.result === 'fail')) throw new Exit(exitCodes.failed);
}

function checkNode(version: string): Finding {
  return Number.parseInt(version, 10) >= 24
    ? { result: 'ok', what: `Node ${version}` }
    : { result: 'fail', what: `Node ${version} is too old`, remedy: 'use Node 24 or later' };
}

async function checkHaproxy(path: string): Promise<readonly Finding[]> {
  try {
    const found = await probeHaproxy(path);
    const known = limits(found).map((limit): Finding => ({ result: 'warn', what: limit, remedy: 'install 3.2 LTS' }));
    return [{ result: 'ok', what: `HAProxy ${found.version} (${found.path})` }, ...known];
  } catch (error) {
    return [failure(error)];
  }
}

async function checkHub(globals: Globals): Promise<readonly Finding[]> {
  try {
    const context = await loadContext(globals);
    const own: readonly Finding[] =
      context.certificate === undefined
        ? [{ result: 'ok', what: `context ${context.name} uses a token` }]
        : [
            checkExpiry(
              `client certificate of context ${context.name}`,
              new X509Certificate(context.certificate).validToDate.getTime(),
              'get a new admin.yaml from the hub',
            ),
          ];
    const hub = await connectHub(globals);
    return [...own, ...(await checkFleet(hub))];
  } catch (error) {
    return [failure(error)];
  }
}

async function checkFleet(hub: HubClient): Promise<readonly Finding[]> {
  const status = await hub.call<StatusResponse>('GET', pathOf('status'));
  const certificates = await hub.call<ListResponse<CertificateItem>>('GET', pathOf('get', 'certificates'));
  return [
    { result: 'ok', what: `hub ${status.version} at ${hub.server}, revision ${status.revision}` },
    ...status.clusters.map((cluster): Finding =>
      cluster.connected
        ? {
            result: 'ok',
            what: `cluster ${cluster.name} is connected, ${cluster.nodes_ready} of ${cluster.nodes} nodes ready`,
          }
        : {
            result: 'fail',
            what: `cluster ${cluster.name} is not connected`,
            remedy: 'look at the log of its agent, or start it',
          },
    ),
    ...status.guards.map((guard): Finding => ({
      result: 'warn',
      what: `guard ${guard.id} holds ${guard.message}`,
      remedy: `headgate guard confirm ${guard.id}, or mend the source`,
    })),
    ...certificates.items.map((item) =>
      checkExpiry(
        `certificate ${item.namespace}/${item.name} of ${item.cluster}`,
        Date.parse(item.not_after),
        'renew it at its source',
      ),
    ),
  ];
}

function checkExpiry(what: string, notAfter: number, remedy: string): Finding {
  const left = notAfter - Date.now();
  if (left <= 0) return { result: 'fail', what: `${what} has expired`, remedy };
  if (left < SOON) return { result: 'warn', what: `${what} expires in ${Math.floor(left / DAY)} days`, remedy };
  return { result: 'ok', what: `${what} is good for ${Math.floor(left / DAY)} days` };
}

function failure(thrown: unknown): Finding {
  const error = HeadgateError.from(thrown);
  return {
    result: 'fail',
    what: `${error.code} ${error.message}`,
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
  };
}
