import { SHARE_UNITS } from '../../../../lib/split/types.ts';
import { clusterTag, mapFile, NOTHING } from '../../model/names.ts';
import { MAX_FALLBACKS, MAX_TARGETS } from '../../model/route-value.ts';

/** Cookie of affinity: `<cluster tag>.<bucket>`. */
const AFFINITY_COOKIE = 'headgate';

const AFFINITY = '{ var(txn.route) -m end ! }';
/** Fields of the route's value, see model/route-value. */
const STRAIGHT = 'var(txn.route),field(1,|)';
/** The route's id: what crosses to another cluster is named by it. */
export const ROUTE_ID = 'var(txn.route),field(2,|)';
const DRAWS = 'var(txn.route),field(3,|)';

/**
 * Sets a variable while a backend is chosen: a rule that never holds. The rules before it end the choice for most
 * requests, which so pay nothing for what only others need.
 */
function note(variable: string, sample: string, condition = ''): string {
  return `use_backend ${NOTHING} if ${condition}{ ${sample},set-var(${variable}) -m found } { always_false }`;
}

/**
 * Evaluated until the first that holds: the one backend of a route that draws nothing, the sticky target, the draw,
 * then the fallbacks; none of them dead. In a worker that a reload has replaced nbsrv is 0 everywhere (be_usable_srv
 * counts nothing in a stopped proxy), while its connections may still bring requests: there the first named target is
 * taken as it is.
 */
export const targets = [
  `use_backend %[${STRAIGHT}] if { ${STRAIGHT},nbsrv gt 0 } or { stopping } { ${STRAIGHT} -m len gt 0 }`,
  note('txn.bucket', `rand(${SHARE_UNITS})`),
  // A returning client brings its bucket, so that a change of weights moves as few as it must. A forged one only
  // chooses among the route's own targets.
  note('txn.cookie', `req.cook(${AFFINITY_COOKIE})`, `${AFFINITY} `),
  note('txn.bucket', `var(txn.cookie),field(2,.),mod(${SHARE_UNITS})`, '{ var(txn.cookie) -m found } '),
  note('txn.id', ROUTE_ID, '{ var(txn.cookie) -m found } '),
  note(
    'txn.sticky',
    `var(txn.cookie),field(1,.),concat(.,txn.id),map_str(${mapFile('sticky')})`,
    '{ var(txn.cookie) -m found } ',
  ),
  'use_backend %[var(txn.sticky)] if { var(txn.sticky),nbsrv gt 0 } or { stopping } { var(txn.sticky) -m found }',
  note('txn.draws', DRAWS),
  ...Array.from({ length: MAX_TARGETS }, (_, i) => {
    const backend = `var(txn.draws),field(${2 * i + 2},:)`;
    const drawn = `{ var(txn.draws),field(${2 * i + 1},:),sub(txn.bucket) gt 0 }`;
    return `use_backend %[${backend}] if ${drawn} { ${backend},nbsrv gt 0 } or ${drawn} { stopping }`;
  }),
  ...Array.from({ length: MAX_FALLBACKS }, (_, i) => {
    const backend = `var(txn.route),field(${i + 4},|)`;
    return `use_backend %[${backend}] if { ${backend},nbsrv gt 0 }`;
  }),
  `default_backend ${NOTHING}`,
];

/**
 * Tells a client where it went, where the route wants it back there.
 * @param secure a sample that is true where the client speaks TLS.
 */
export function affinityAnswer(cluster: string, secure: string): string[] {
  const tag = `%[be_name,map_str(${mapFile('tag')},${clusterTag(cluster)})]`;
  const cookie = `${AFFINITY_COOKIE}=${tag}.%[var(txn.bucket)]; Path=/; HttpOnly; SameSite=Lax%[${secure},iif(; Secure,)]`;
  // A client that went where its cookie says keeps it.
  return [`http-response add-header set-cookie "${cookie}" if ${AFFINITY} !{ be_name,strcmp(txn.sticky) eq 0 }`];
}
