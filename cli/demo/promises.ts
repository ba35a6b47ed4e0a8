/** The play's promises in the order of its lines, and what each line says. */
export const promises = {
  'first-answer': 'first answer through the fleet',
  'local-first': 'each cluster serves its own first',
  shares: 'shares seen are shares asked',
  'new-host': 'a new host is live in all clusters',
  endpoints: 'endpoints taken away move the traffic and come back',
  sticky: 'sticky clients stay through a weight change',
  explain: 'explain agrees with the traffic',
  'broken-manifest': 'a broken manifest is named and harmless',
  rival: "a rival's claim is refused",
  'hub-killed': 'hub killed: own changes go live',
  'cluster-killed': 'hub dead, a cluster killed: the others take over',
  'hub-back': 'hub back: configuration bytes it had to send',
  'failed-requests': 'requests failed over the whole play',
  reloads: 'HAProxy reloads',
  'left-behind': 'nothing left behind',
} as const;

export type PromiseName = keyof typeof promises;

export function isPromise(name: string): name is PromiseName {
  return Object.hasOwn(promises, name);
}
