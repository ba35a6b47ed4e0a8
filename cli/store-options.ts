import type { Command } from 'commander';

/** Adds the options that storeFlags reads. */
export function withStoreOptions(command: Command): Command {
  return command
    .option('--store <store>', 'embedded, or etcd:URL[,URL]', 'embedded')
    .option('--store-prefix <prefix>', 'of the keys in etcd; one per fleet', '/headgate/')
    .option('--store-ca <file>', "CAs that etcd's certificates are checked against; default: the system's")
    .option('--store-cert <file>', 'client certificate for etcd')
    .option('--store-key <file>', 'its key')
    .option('--store-user <name>', 'user of an etcd with authentication')
    .option('--store-password-file <file>', "the user's password");
}
