/** How the store in etcd is reached. */
export interface EtcdSettings {
  /** `http://HOST:PORT` or `https://HOST:PORT`, one per member; all of one kind. */
  readonly urls: readonly string[];
  /** Of every key; one per fleet. Ends with '/'. */
  readonly prefix: string;
  /** PEM. Members' certificates are checked against the system's CAs where `ca` is absent. */
  readonly tls?: { readonly ca?: Buffer; readonly certificate?: Buffer; readonly privateKey?: Buffer } | undefined;
  /** For an etcd with authentication by password. */
  readonly user?: { readonly name: string; readonly password: string } | undefined;
}
