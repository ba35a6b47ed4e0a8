import type { Finding } from '../../../../lib/policy/custom-resources/conditions.ts';
import { printable } from '../../../../lib/printable.ts';
import type { Publication, ResourceKey } from '../../../../lib/sync/index.ts';
import { Ingress, Policy, Problem, Severity, Verdict } from '../../../../proto/gen/headgate/v1/reported.ts';
import type { ObjectStatuses } from '../../object-statuses.ts';
import { targetsOf, type PolicyTargets } from './policy-targets.ts';

/** Codes whose reason does not depend on how bad it is. */
const reasons: Readonly<Record<string, string>> = { HG1003: 'TargetNotFound', HG1005: 'Conflicted' };

/**
 * What is not as asked of each object, from whoever found it: the translation in this cluster, the hub, the nodes.
 * Objects are named `<kind>/<namespace>/<name>`.
 */
export class Troubles implements Disposable {
  readonly #up: Publication;
  readonly #statuses: ObjectStatuses;
  readonly #listeners = new Set<(key: string) => void>();
  readonly #subscriptions = new DisposableStack();
  /** By object, by the problem's name. */
  readonly #problems = new Map<string, Map<string, Problem>>();
  /** Where a problem's removal has to look. */
  readonly #ofProblem = new Map<string, string>();
  /** What an Ingress rests on: `host <name>`, `Service/<namespace>/<name>`, `Secret/<namespace>/<name>`. */
  readonly #restsOn = new Map<string, ReadonlySet<string>>();
  /** The reverse of it. */
  readonly #users = new Map<string, Set<string>>();
  readonly #verdicts = new Map<string, Verdict>();
  readonly #policies = new Map<string, PolicyTargets>();

  constructor(up: Publication, statuses: ObjectStatuses) {
    this.#up = up;
    this.#statuses = statuses;
    this.#subscriptions.use(up.subscribe({ changed: (keys) => this.#changed(keys) }));
    this.#subscriptions.defer(
      statuses.onChange((names) => {
        for (const name of names) this.#tell(name);
      }),
    );
    this.#changed([...up.inventory.all()]);
  }

  [Symbol.dispose](): void {
    this.#subscriptions.dispose();
  }

  /** Called for each object of which something may be otherwise than before. */
  onChange(listener: (key: string) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Whether an Ingress is of our class, or a policy one that is reported. */
  isOurs(key: string): boolean {
    return this.#restsOn.has(key) || this.#policies.has(key);
  }

  /** The most telling first; what keeps the object from being in force comes before the rest. */
  of(key: string): readonly Finding[] {
    const here = [...this.#here(key)];
    // What both found is told once, in the words of whoever looked closer.
    const isKnown = ({ code, field }: Finding): boolean =>
      here.some((one) => one.code === code && one.field.startsWith(field));
    const hub = (this.#statuses.all.get(key)?.findings ?? []).filter((one) => !isKnown(one));
    const all = [...here, ...hub, ...this.#fromNodes(key)].map(plain);
    return all.sort((a, b) => Number(a.accepted) - Number(b.accepted));
  }

  *#here(key: string): Iterable<Finding> {
    for (const on of [key, ...(this.#restsOn.get(key) ?? [])]) {
      for (const problem of this.#problems.get(on)?.values() ?? []) yield ofProblem(problem, on === key ? '' : on);
    }
  }

  *#fromNodes(key: string): Iterable<Finding> {
    for (const ingress of this.#policies.has(key) ? this.#governedBy(key) : [key]) {
      // What nodes refuse of a host that belongs to another namespace is not for this one to know.
      const isServed = !(this.#statuses.all.get(ingress)?.findings ?? []).some(({ accepted }) => !accepted);
      for (const on of isServed ? (this.#restsOn.get(ingress) ?? []) : []) {
        const verdict = this.#verdicts.get(on);
        if (verdict !== undefined) yield ofVerdict(verdict);
      }
    }
  }

  *#governedBy(policy: string): Iterable<string> {
    const targets = this.#policies.get(policy);
    if (targets === undefined) return;
    for (const key of this.#restsOn.keys()) if (targets.governs(key)) yield key;
  }

  #changed(keys: Iterable<ResourceKey>): void {
    const touched = new Set<string>();
    for (const { type, name } of keys) {
      const body = this.#up.inventory.get(type, name)?.body;
      for (const key of this.#take(type, name, body)) touched.add(key);
    }
    for (const key of touched) this.#tell(key);
  }

  /** @returns objects of which something may be otherwise. */
  #take(type: string, name: string, body: Uint8Array | undefined): Iterable<string> {
    switch (type) {
      case 'ingress':
        return this.#takeIngress(`Ingress/${name}`, body === undefined ? undefined : Ingress.decode(body));
      case 'policy':
        if (body === undefined) this.#policies.delete(name);
        else this.#policies.set(name, targetsOf(Policy.decode(body)));
        return [name];
      case 'problem':
        return this.#takeProblem(name, body === undefined ? undefined : Problem.decode(body));
      case 'verdict':
        return this.#takeVerdict(name, body === undefined ? undefined : Verdict.decode(body));
      default:
        return [];
    }
  }

  #takeIngress(key: string, ingress: Ingress | undefined): Iterable<string> {
    for (const on of this.#restsOn.get(key) ?? []) {
      const users = this.#users.get(on);
      users?.delete(key);
      if (users?.size === 0) this.#users.delete(on);
    }
    if (ingress === undefined) {
      this.#restsOn.delete(key);
      return [key];
    }
    const restsOn = new Set(foundations(ingress));
    this.#restsOn.set(key, restsOn);
    for (const on of restsOn) this.#users.set(on, (this.#users.get(on) ?? new Set()).add(key));
    return [key];
  }

  #takeProblem(name: string, problem: Problem | undefined): Iterable<string> {
    const before = this.#ofProblem.get(name);
    const on = problem === undefined ? before : `${problem.kind}/${problem.namespace}/${problem.name}`;
    if (on === undefined) return [];
    const problems = this.#problems.get(on) ?? new Map<string, Problem>();
    if (problem === undefined) {
      this.#ofProblem.delete(name);
      problems.delete(name);
    } else {
      this.#ofProblem.set(name, on);
      problems.set(name, problem);
    }
    if (problems.size === 0) this.#problems.delete(on);
    else this.#problems.set(on, problems);
    return [on, ...(this.#users.get(on) ?? [])];
  }

  #takeVerdict(name: string, verdict: Verdict | undefined): Iterable<string> {
    const on = subjectOf(name);
    if (on === undefined) return [];
    if (verdict === undefined || verdict.rejections.length === 0) this.#verdicts.delete(on);
    else this.#verdicts.set(on, verdict);
    const users = this.#users.get(on) ?? new Set<string>();
    const policies = [...this.#policies].filter(([, targets]) => [...users].some((key) => targets.governs(key)));
    return [...users, ...policies.map(([key]) => key)];
  }

  #tell(key: string): void {
    for (const listener of this.#listeners) listener(key);
  }
}

function* foundations({ namespace, rules, defaultBackend, tls }: Ingress): Iterable<string> {
  for (const { host } of rules) yield `host ${host === '' ? '*' : host}`;
  if (defaultBackend !== undefined) yield 'host *';
  for (const backend of [...rules.map((rule) => rule.backend), defaultBackend]) {
    if (backend !== undefined) yield `Service/${namespace}/${backend.service}`;
  }
  for (const { secret } of tls) if (secret !== '') yield `Secret/${namespace}/${secret}`;
}

/** What a verdict, `<type>/<name>`, is about; undefined where no Ingress rests on such. */
function subjectOf(verdict: string): string | undefined {
  const [type = '', ...name] = verdict.split('/');
  switch (type) {
    case 'host':
      return `host ${name.join('/')}`;
    case 'backend':
      return `Service/${name.slice(0, 2).join('/')}`;
    case 'own-certificate':
      return `Secret/${name.join('/')}`;
    default:
      return undefined;
  }
}

/** @param on the other object that the problem is of; empty where it is of the object itself. */
function ofProblem({ code, field, message, remedy, severity }: Problem, on: string): Finding {
  const isError = severity === Severity.ERROR;
  // An Ingress goes on with what is right of it, and with the last good state of what it rests on.
  const accepted = on !== '' || !isError || code === 'HG1003';
  const reason = reasons[code] ?? (accepted ? 'PartiallyProgrammed' : 'Invalid');
  const [kind = '', ...name] = on.split('/');
  const where = on === '' ? field : `${kind} ${name.join('/')}${field === '' ? '' : ` ${field}`}`;
  return { accepted, reason, code, field: where, message, remedy };
}

function ofVerdict({ type, name, nodes, rejections }: Verdict): Finding {
  const [first] = rejections;
  const words = first === undefined ? '' : `: ${first.message}`;
  return {
    accepted: true,
    reason: 'PartiallyProgrammed',
    code: first?.code ?? '',
    field: first?.field ?? '',
    message: `${rejections.length} of ${nodes} nodes keep the last good version of ${type} ${name}${words}`,
    remedy: first?.remedy ?? '',
  };
}

/** Tenants' words, for a terminal. */
function plain({ accepted, reason, code, field, message, remedy }: Finding): Finding {
  return {
    accepted,
    reason,
    code,
    field: printable(field),
    message: printable(message),
    remedy: printable(remedy),
  };
}
