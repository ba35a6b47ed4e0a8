/** "HOST/PATH" or "HOST"; without a path every route of the host is meant. */
export function routeTarget(name: string): { readonly host: string; readonly path: string | undefined } {
  const slash = name.indexOf('/');
  return slash === -1
    ? { host: name.toLowerCase(), path: undefined }
    : { host: name.slice(0, slash).toLowerCase(), path: name.slice(slash) };
}
