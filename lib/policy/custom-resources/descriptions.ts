import type { PolicyKind } from '../schemas.ts';

/** Of one section of a TrafficPolicy, by path; `[]` is each entry of a list. */
const trafficFields: Readonly<Record<string, string>> = {
  exposure:
    'Which clusters answer requests for the routes. Declared (the default): those whose own Ingress declares the host. Everywhere: every cluster, passing on to those that have endpoints.',
  tiers:
    'Ordered groups of weighted clusters. Requests go to the first tier; what it cannot take goes to the next. Without tiers a cluster serves what enters it, and spills to the others when it has no ready endpoint.',
  'tiers[].clusters': 'The clusters of the tier. At least one has a weight above 0; at most 8 share a route.',
  'tiers[].clusters[].name': 'Name of a cluster of the fleet. Exactly one of name and selector.',
  'tiers[].clusters[].selector':
    'Labels of Cluster objects; every cluster that has all of them gets the weight. Exactly one of name and selector.',
  'tiers[].clusters[].weight': 'Share of the requests, relative to the other weights of the tier. 0: none.',
  'tiers[].spillBelow':
    'Percent. While the usable weight of the tier is below this part of its whole weight, the missing share goes to the next tier. Default 0: only when nothing of the tier is usable.',
  'tiers[].holdFor':
    'How long a tier that was left must be well before it takes more again, for example 60s. Default 0s.',
  onStale: 'What becomes of a cluster that the hub has not heard from.',
  'onStale.after': 'Time without a report from the cluster, for example 60s.',
  'onStale.action': 'Keep uses the cluster on, Deweight uses it only when nothing fresh is usable, Drop never uses it.',
  affinity: 'Brings a returning client back to where it was served.',
  'affinity.cookie': 'A cookie keeps a client at its cluster. Default true.',
  'affinity.drain':
    'How long clients still return to a cluster that left the split or was cordoned, for example 10m, the default.',
  'affinity.endpoint': 'A cookie of HAProxy keeps a client at its endpoint within the cluster. Default false.',
  timeouts: 'How long HAProxy waits for endpoints. Each from 1ms to 24h.',
  'timeouts.connect': 'For the connection to an endpoint, at most 75s. Default 2s.',
  'timeouts.queue': 'For a place where limits.connections is reached; then the answer is 503. Default 2s.',
  'timeouts.response':
    'For the first byte of the response, and between two of them; then the answer is 504. Default 60s.',
  'timeouts.tunnel': 'For a WebSocket or other tunnel without traffic. Default 1h.',
  retries: 'Further attempts of a request that failed.',
  'retries.attempts': 'After the first one, each at another endpoint where there is one. 0: none. Default 2.',
  'retries.on':
    'What is tried again beside a connection that failed, for safe methods only: EmptyResponse (always), ResponseTimeout, GatewayError.',
  balance: 'Which endpoint of a cluster gets a request.',
  'balance.algorithm': 'RoundRobin (the default), LeastConnections, Random, or Hash, which needs the field hash.',
  'balance.hash': 'What algorithm Hash looks at, consistently: exactly one of header, cookie and source.',
  'balance.hash.header': 'Name of a request header.',
  'balance.hash.cookie': 'Name of a cookie.',
  'balance.hash.source': "True: the client's address.",
  healthCheck: 'How HAProxy asks endpoints whether they are well.',
  'healthCheck.type': 'TCP (the default) connects, HTTP and GRPC ask, None does not check.',
  'healthCheck.interval': 'Between two checks of one node, at least 100ms. Default 2s.',
  'healthCheck.timeout': 'For the answer to a check. Default: the interval.',
  'healthCheck.rise': 'Good checks in a row that make an endpoint well. Default 1.',
  'healthCheck.fall': 'Bad checks in a row that make an endpoint unwell. Default 2.',
  'healthCheck.port': 'Port of the endpoint where checks are answered. Default: the one it serves on.',
  'healthCheck.path': 'For type HTTP: the path that is asked for. Default /.',
  'healthCheck.host': 'For type HTTP: the Host header. Default localhost.',
  'healthCheck.status': 'For type HTTP: the statuses that are good, both ends included. Default 200 to 399.',
  'healthCheck.status.from': 'The lowest good status.',
  'healthCheck.status.to': 'The highest good status.',
  'healthCheck.grpcService': 'For type GRPC: the service that is asked for. Empty, the default: the whole server.',
  outlier: 'When requests that fail take an endpoint out.',
  'outlier.consecutiveErrors': 'Errors in a row that take an endpoint out. Default 1.',
  'outlier.serverErrors': 'Whether 5xx answers are errors, not failed connections alone. Default false.',
  'outlier.ejectFor': 'Until an endpoint that was taken out is tried again. Default: until checks pass.',
  'outlier.maxEjectedPercent': 'Percent of the endpoints that may be out at a time. Default 100.',
  slowStart: 'Time over which a new endpoint comes to its full share. Default: at once.',
  limits: 'How much an endpoint gets at a time.',
  'limits.connections': 'Concurrent requests per endpoint and node; the others wait.',
  'limits.queue': 'Requests that may wait per endpoint and node; 503 for one more. Default: no limit.',
  backendProtocol:
    'What is spoken with the endpoints: HTTP1 or HTTP2, which without TLS is h2c. Default HTTP/1.1; with TLS HTTP/2 where the endpoint offers it.',
  backendTLS: 'TLS to the endpoints, with their certificates verified.',
  'backendTLS.hostname': "Sent as SNI, and the name that an endpoint's certificate must carry. Needed unless insecure.",
  'backendTLS.ca':
    "Certificates of the CAs to verify by, 1 to 16 in PEM. Default: those of the node's system. No keys.",
  'backendTLS.insecure': 'Any certificate will do. Default false.',
  proxyProtocol: "Version of the PROXY protocol header that brings an endpoint the client's address. Default: none.",
  passthrough:
    "The client's TLS goes through to the endpoints unopened, for the whole host; the Prefix route / decides. Default false.",
};

/** What `kubectl explain` says of `spec`, by kind and path within it. Every field has one; none is left over. */
export const descriptions: Readonly<Record<PolicyKind, Readonly<Record<string, string>>>> = {
  TrafficPolicy: {
    '': 'Fields written straight into spec are defaults, as those in defaults are.',
    targetRefs:
      'What the policy governs: Ingresses and Routes of its own namespace, or that Namespace. None: the whole fleet, for a policy at the hub or of a cluster that has been granted it.',
    'targetRefs[].group': 'networking.k8s.io for an Ingress, empty for the Namespace, headgate.dev for a Route.',
    'targetRefs[].kind': 'Ingress, Namespace or Route.',
    'targetRefs[].name': 'Name of the object; of a Route HOST or HOST/PATH.',
    ...trafficFields,
    defaults: 'Values that hold where nothing nearer to the route says otherwise.',
    overrides: 'Values that nothing nearer to the route can change.',
    ...below('defaults', trafficFields),
    ...below('overrides', trafficFields),
  },
  HostClaim: {
    '': 'Hosts, and who may have them.',
    hosts: 'Host names, or "*." and one, which reserves everything under it at any depth but not the name itself.',
    namespaces: 'Namespaces whose Ingresses may serve the hosts.',
    clusters: 'Clusters whose Ingresses may offer the hosts. Default: all.',
  },
  Cluster: {
    '': 'What the fleet knows of the member cluster of this name.',
    labels: 'Labels that tiers select clusters by.',
    cordoned: 'True: no new traffic while another cluster is usable. Default false.',
    grants: 'What policies written in the cluster may do. Default: they govern requests that enter there.',
    'grants.policies':
      'Fleet: every policy of the cluster governs the whole fleet. Cluster, the default: requests that enter there.',
    'grants.namespaces': 'Namespaces whose policies in the cluster govern the whole fleet.',
  },
};

function below(section: string, fields: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).map(([path, text]) => [`${section}.${path}`, text]));
}
