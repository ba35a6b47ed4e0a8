import { type Code, codes } from './errors.ts';

/** What a code means, and what somebody who sees it does. */
interface Explanation {
  readonly what: string;
  readonly mend: string;
}

const groups: Readonly<Record<string, string>> = {
  HG1: 'Objects',
  HG2: 'Usage and rights',
  HG3: 'Links',
  HG4: 'Store',
  HG5: 'HAProxy',
  HG6: 'Guards',
  HG9: 'Ours',
};

const guide: Readonly<Record<Code, Explanation>> = {
  HG1001: {
    what: 'A document is not YAML or JSON. Its objects stay as they last were.',
    mend: 'Correct the place that the error names.',
  },
  HG1002: {
    what: 'A field is missing, unknown, of the wrong type or out of range. The object stays as it last was.',
    mend: 'Correct the field that the error names.',
  },
  HG1003: {
    what: 'An object that another one names is not there, for example the Service of an Ingress.',
    mend: 'Create it, or correct the name.',
  },
  HG1004: {
    what: 'A private key does not match its certificate, or one of them cannot be used. The last good pair goes on serving.',
    mend: 'Put a matching pair into the Secret.',
  },
  HG1005: {
    what: 'Two Ingresses of one cluster claim the same host and path. The one committed first keeps it.',
    mend: 'Remove the rule from one of them.',
  },
  HG1006: {
    what: 'The host belongs to another namespace, which claimed it first or by a HostClaim. This one gets no traffic.',
    mend: 'Use another host, or settle ownership with a HostClaim at the hub.',
  },
  HG1007: {
    what: 'Clusters disagree about the settings of one route. Those committed first hold.',
    mend: 'Make them the same, or decide by a policy at the hub.',
  },
  HG1008: {
    what: 'A policy names a cluster or a target that does not exist. The rest of the policy stands.',
    mend: 'Correct the name; `headgate get clusters` and `headgate get routes` list what there is.',
  },
  HG1009: {
    what: 'The weights of a tier sum to 0, so nothing would be served.',
    mend: 'Give at least one cluster a weight; to take clusters out of service, cordon them.',
  },
  HG1010: {
    what: 'A known field or annotation is not honoured by this version.',
    mend: 'Remove it, or do without; where it would protect, the object is refused rather than served without it.',
  },
  HG1011: {
    what: 'Settings do not go together that are each right by themselves, for example a path of a host whose TLS is passed through.',
    mend: 'Remove one of them; the error says what is in force.',
  },
  HG2001: {
    what: 'A flag, an argument or a combination of them is wrong.',
    mend: 'See `--help` of the command.',
  },
  HG2002: {
    what: 'An address cannot be listened on.',
    mend: 'Stop what holds the port, or give another address.',
  },
  HG2003: {
    what: 'A data folder or file cannot be read or written, or another process uses it.',
    mend: 'Check owner, mode and free space; give every process a folder of its own.',
  },
  HG2004: {
    what: 'A join token or ServiceAccount token is malformed, expired, used already, or for another cluster.',
    mend: 'Make a new join token with `headgate cluster add NAME`, or pin rotated keys with its `--issuer` and `--jwks`.',
  },
  HG2005: {
    what: 'A credential is missing or not accepted.',
    mend: 'For commands: use `admin.yaml` of the hub or a bearer token. For agents: join again with a new token.',
  },
  HG2006: {
    what: 'The caller is known and may not do this.',
    mend: "Use a credential with the role that the error names; for an agent's API server, give its ServiceAccount the rule.",
  },
  HG2007: { what: 'There is nothing of that name.', mend: 'List what there is with `headgate get`.' },
  HG2008: { what: 'It exists already, or was changed meanwhile.', mend: 'Look at it and try again.' },
  HG3001: {
    what: 'The peer is not reachable. Agents go on serving with what they hold, and try again.',
    mend: 'Check that it runs, the address, and what lies between.',
  },
  HG3002: {
    what: 'The peer speaks no version of the protocol that we speak.',
    mend: 'Bring both to versions at most one apart.',
  },
  HG3003: {
    what: "The hub's epoch or revision lies behind what the agent holds: it would go backwards. The agent keeps what it has.",
    mend: "Point agents at the right hub; after restoring a backup raise the store's epoch.",
  },
  HG3004: {
    what: 'Another agent of the same cluster has taken over, or had the word already.',
    mend: 'Nothing, where two replicas change places; otherwise stop the one too many.',
  },
  HG3005: {
    what: 'No acknowledgement came within the deadline; the stream was cut and starts anew.',
    mend: 'Look for a hung or overloaded peer.',
  },
  HG3006: {
    what: 'A frame or an answer breaks the protocol.',
    mend: 'Check that the address is a Headgate hub of a matching version.',
  },
  HG4001: {
    what: 'The store refused or lost a write. What was not acknowledged is not stored.',
    mend: 'Check free space and the health of the store, then try again.',
  },
  HG4002: { what: 'A watch was lost.', mend: 'Nothing: everything is listed again.' },
  HG4003: {
    what: 'Stored data is corrupt. What can be read goes on.',
    mend: 'Restore the store from a backup and raise its epoch.',
  },
  HG5001: {
    what: 'HAProxy is missing, too old, or built without what is needed.',
    mend: 'Install HAProxy 2.6 or later (best 3.2), or name it with `--haproxy`; see `headgate check`.',
  },
  HG5002: {
    what: 'HAProxy refused a configuration. The last good one goes on serving.',
    mend: "Look at HAProxy's own line in the error.",
  },
  HG5003: {
    what: 'HAProxy refused or did not answer a runtime command. It is tried again.',
    mend: "Look at HAProxy's own words in the error and at its load.",
  },
  HG5004: { what: 'HAProxy is not running.', mend: 'Look at its log; the agent starts it again.' },
  HG5005: {
    what: 'One object is larger than the data plane takes, for example in paths of one host.',
    mend: 'Split the object.',
  },
  HG5006: {
    what: 'Settings that only a file can hold wait for a reload of HAProxy, and those keep some seconds apart. The last good version goes on serving.',
    mend: 'Nothing: the agent tries again by itself. `docs/field-table.md` says which settings are free of it.',
  },
  HG5007: {
    what: 'HAProxy has taken endpoints out that Kubernetes calls ready: its checks, or requests to them, fail. The others serve; where none is left, other clusters do.',
    mend: 'Look at the pods, the health check of the policy, and what lies between node and pods.',
  },
  HG6001: {
    what: "A guard holds a removal that takes away a large part of a cluster's routes. They go on serving.",
    mend: 'Mend the source, or let it happen with `headgate guard confirm ID`.',
  },
  HG9001: { what: 'A mistake of Headgate.', mend: 'Report it, with the output of `-v` or the log line.' },
};

/** How to mend what a code stands for, in general; undefined for a code of another release. */
export function generalRemedy(code: string): string | undefined {
  return Object.hasOwn(guide, code) ? guide[code as Code].mend : undefined;
}

/** docs/errors.md. */
export function errorGuide(): string {
  const out = [
    '# Error codes',
    '',
    'Every error is one line: code, object and field, what and why, how to mend it. Codes are stable: never reused,',
    'never changed in meaning. A _user_ error is for whoever wrote the object or command; a _system_ error comes from',
    'the surroundings. Programs exit with 2 for bad usage or input (HG1xxx, HG2001, HG2004) and with 1 for the others.',
    '',
    'This page is generated from `lib/errors.ts` and `lib/error-guide.ts`: `UPDATE_DOCS=1 npx vitest run lib/error-guide.test.ts`.',
  ];
  let group = '';
  for (const [code, { what, mend }] of Object.entries(guide)) {
    if (code.slice(0, 3) !== group) {
      group = code.slice(0, 3);
      out.push('', `## ${groups[group] ?? group}`, '');
    }
    out.push(`- **${code}** (${codes[code as Code]}): ${what} _Mend:_ ${mend}`);
  }
  return `${out.join('\n')}\n`;
}
