import { SHARE_UNITS } from '../../../../lib/split/types.ts';
import { clusterTag, mapFile, NOTHING } from '../../model/names.ts';
import { MAX_FALLBACKS, MAX_TARGETS } from '../../model/split-value.ts';

/** Cookie of affinity: `<cluster tag>.<bucket>`. */
const AFFINITY_COOKIE = 'headgate';

const AFFINITY = '{ var(txn.split) -m end ! }';

/** Draws a bucket, or takes that of a returning client. */
export const draw = [
  `http-request set-var(txn.split) var(txn.route),map_str(${mapFile('split')})`,
  `http-request set-var(txn.bucket) rand(${SHARE_UNITS})`,
  // A returning client brings its bucket, so that a change of weights moves as few as it must. A forged one only
  // chooses among the route's own targets.
  `http-request set-var(txn.cookie) req.cook(${AFFINITY_COOKIE}) if ${AFFINITY}`,
  `http-request set-var(txn.bucket) var(txn.cookie),field(2,.),mod(${SHARE_UNITS}) if { var(txn.cookie) -m found }`,
  `http-request set-var(txn.sticky) var(txn.cookie),field(1,.),concat(.,txn.route),map_str(${mapFile('sticky')}) if { var(txn.cookie) -m found }`,
];

/**
 * Evaluated until the first that holds: the sticky target, the draw, then the fallbacks; none of them dead. In a
 * worker that a reload has replaced nbsrv is 0 everywhere (be_usable_srv counts nothing in a stopped proxy), while
 * its connections may still bring requests: there the first named target is taken as it is.
 */
export const targets = [
  'use_backend %[var(txn.sticky)] if { var(txn.sticky),nbsrv gt 0 } or { stopping } { var(txn.sticky) -m found }',
  ...Array.from({ length: MAX_TARGETS }, (_, i) => {
    const backend = `var(txn.split),field(${2 * i + 2},:)`;
    const drawn = `{ var(txn.split),field(${2 * i + 1},:),sub(txn.bucket) gt 0 }`;
    return `use_backend %[${backend}] if ${drawn} { ${backend},nbsrv gt 0 } or ${drawn} { stopping }`;
  }),
  ...Array.from({ length: MAX_FALLBACKS }, (_, i) => {
    const backend = `var(txn.split),field(${i + 2},|)`;
    return `use_backend %[${backend}] if { ${backend},nbsrv gt 0 }`;
  }),
  `default_backend ${NOTHING}`,
];

/** Tells a client where it went, where the route wants it back there. */
export function affinityAnswer(cluster: string): string[] {
  const tag = `%[be_name,map_str(${mapFile('tag')},${clusterTag(cluster)})]`;
  const cookie = `${AFFINITY_COOKIE}=${tag}.%[var(txn.bucket)]; Path=/; HttpOnly; SameSite=Lax`;
  // A client that went where its cookie says keeps it.
  const moved = `${AFFINITY} !{ be_name,strcmp(txn.sticky) eq 0 }`;
  return [
    `http-response add-header set-cookie "${cookie}" if ${moved} !{ ssl_fc }`,
    `http-response add-header set-cookie "${cookie}; Secure" if ${moved} { ssl_fc }`,
  ];
}
