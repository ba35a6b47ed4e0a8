import { randomUUID } from 'node:crypto';
import { Gauge } from 'prom-client';
import { aborted } from '../../lib/aborted.ts';
import type { KubernetesClient, ObjectName } from '../../lib/kubernetes/index.ts';
import type { AgentContext } from '../context.ts';
import { Election, type Term } from './kubernetes/lease/election.ts';
import { speakForCluster, type Mouthpiece } from './speak-for-cluster.ts';

/**
 * Follows its source as a standby and speaks for the cluster only while it holds the Lease, until the context's signal
 * aborts. A replica that has not listed everything yet does not stand for election: it would have nothing to say.
 */
export async function leadCluster(
  context: AgentContext,
  {
    client,
    lease,
    agent,
    ledger,
    seen,
  }: { client: KubernetesClient; lease: ObjectName } & Pick<Mouthpiece, 'agent' | 'ledger' | 'seen'>,
): Promise<void> {
  const { clock, log, signal, checks, registry, options } = context;
  const leads = new Gauge({
    name: 'headgate_agent_leader',
    help: '1 while this replica speaks for its cluster, 0 while it stands by.',
    registers: [registry],
  });
  let term: Term | undefined;
  checks.push({
    name: 'lease',
    // A standby is as ready as it can be: rolling updates and disruption budgets count on it.
    check: () => undefined,
    note: () => (term?.isHeld() === true ? `speaks for the cluster, term ${term.number}` : 'standby'),
  });
  const instance = randomUUID();
  const lead = async (held: Term): Promise<void> => {
    term = held;
    leads.set(1);
    try {
      await serveTerm(context, held, { agent, ledger, seen, instance });
    } finally {
      leads.set(0);
    }
  };
  await Promise.race([agent.listed, aborted(signal)]);
  await new Election({ client, lease, holder: `${options.node}_${instance}`, lead, clock, log }).run(signal);
}

/** What is opened for a term is closed with it. */
async function serveTerm(
  context: AgentContext,
  { number, signal, isHeld }: Term,
  { agent, ledger, seen, instance }: Pick<Mouthpiece, 'agent' | 'ledger' | 'seen'> & { readonly instance: string },
): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const work: Promise<void>[] = [];
  const keep = (one: Promise<void>): void => {
    work.push(one);
    // Until all of it is awaited nobody else looks.
    one.catch(() => undefined);
  };
  // Of the same process in another term too the higher number wins.
  const speaker = { count: number, instance: `${instance}/${number}` };
  await speakForCluster({ ...context, signal, resources, keep }, { agent, ledger, seen, speaker, isHeld });
  await Promise.all(work);
}
