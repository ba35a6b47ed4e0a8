import { Etcd3 } from 'etcd3';
import type { EtcdSettings } from '../../../hub/store/etcd/settings.ts';

/** What no hub does to etcd: an administrator's hand, or a stranger's. */
export function rawEtcd({ urls, tls, user }: EtcdSettings): Etcd3 {
  return new Etcd3({
    hosts: [...urls],
    ...(user === undefined ? {} : { auth: { username: user.name, password: user.password } }),
    ...(tls?.ca === undefined || tls.certificate === undefined || tls.privateKey === undefined
      ? {}
      : { credentials: { rootCertificate: tls.ca, certChain: tls.certificate, privateKey: tls.privateKey } }),
  });
}

/** Forgets the history before a revision. */
export async function compactEtcd(settings: EtcdSettings, revision: bigint): Promise<void> {
  const etcd = rawEtcd(settings);
  try {
    await etcd.kv.compact({ revision: revision.toString(), physical: true });
  } finally {
    etcd.close();
  }
}
