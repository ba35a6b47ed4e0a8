/** What one end of a mutual TLS link needs, PEM. */
export interface TlsCredentials {
  /** Leaf first; on control links followed by its root, so that who only knows the root's hash can check it. */
  readonly certificate: string;
  readonly privateKey: string;
  /** Who may have signed the other end's certificate. */
  readonly ca: string;
}
