export { ApiError } from './api-error.ts';
export {
  openKubernetesClient,
  type ApplyOptions,
  type KubernetesClient,
  type KubernetesClientOptions,
  type ListOptions,
  type ListPage,
  type WatchEvent,
} from './kubernetes-client.ts';
export { registerKubernetesMetrics, type KubernetesMetrics } from './metrics.ts';
export { Reflector, type Reflected, type ReflectorOptions } from './reflector.ts';
export { kubernetesObject, resources, type ApiResource, type KubernetesObject, type ObjectName } from './resource.ts';
