import { createPrivateKey, X509Certificate } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HeadgateError } from '../../lib/errors.ts';
import { identityOf } from '../../lib/identity/certificate.ts';
import type { Identity } from '../../lib/identity/identity.ts';
import { makeKey } from '../../lib/identity/key.ts';
import { createPrivateFile, readPrivateFile, writePrivateFile } from '../../lib/identity/private-file.ts';
import type { TokenRole } from '../../lib/identity/token.ts';
import type { TlsCredentials } from '../../lib/identity/tls-credentials.ts';
import type { Credentials } from '../../proto/gen/headgate/v1/enrolment.ts';

/** PKCS #8 PEM. */
export interface AgentKeys {
  readonly control: string;
  readonly gateway: string;
  /** Of a cluster agent. */
  readonly issuers?: { readonly node: string; readonly gateway: string } | undefined;
}

/** Who an agent is, as its control certificate says. */
export type AgentName = Extract<Identity, { readonly cluster: string }>;

/** All of it outlasts a long absence of the hub. */
export interface IssuerCredentials {
  /** CAs, each with its root. */
  readonly node: TlsCredentials;
  readonly gateway: TlsCredentials;
  /** Of the server that nodes call. */
  readonly server: TlsCredentials;
}

export interface AgentCredentials {
  readonly identity: AgentName;
  readonly control: TlsCredentials;
  readonly gateway: TlsCredentials;
  /** What a cluster agent serves its nodes with; absent where the hub gave none. */
  readonly issuers?: IssuerCredentials | undefined;
}

const tlsSchema = z.strictObject({ certificate: z.string(), privateKey: z.string(), ca: z.string() });
const credentialsSchema = z.strictObject({
  control: tlsSchema,
  gateway: tlsSchema,
  issuers: z.strictObject({ node: tlsSchema, gateway: tlsSchema, server: tlsSchema }).optional(),
});
const keysSchema = z.strictObject({
  control: z.string(),
  gateway: z.string(),
  issuers: z.strictObject({ node: z.string(), gateway: z.string() }).optional(),
});

/**
 * `DIR/identity`: `credentials.json` (keys and certificates together, so that they never part) and, until the
 * first enrolment is answered, `pending.json` (the keys that it asks for).
 */
export class IdentityFiles {
  readonly #credentials: string;
  readonly #pending: string;

  /** @param folder the agent's data folder. */
  constructor(folder: string) {
    this.#credentials = join(folder, 'identity', 'credentials.json');
    this.#pending = join(folder, 'identity', 'pending.json');
  }

  /** Undefined before the first enrolment. Throws HG2003 for what cannot be read or used. */
  async load(): Promise<AgentCredentials | undefined> {
    const text = await readPrivateFile(this.#credentials);
    if (text === undefined) return undefined;
    try {
      return checked(credentialsSchema.parse(JSON.parse(text)));
    } catch (cause) {
      throw new HeadgateError('HG2003', `'${this.#credentials}' holds no usable identity`, {
        remedy: 'remove it and enrol anew with a join token from: headgate cluster add NAME',
        cause,
      });
    }
  }

  async save({ control, gateway, issuers }: AgentCredentials): Promise<void> {
    await writePrivateFile(this.#credentials, JSON.stringify({ control, gateway, issuers }));
    await rm(this.#pending, { force: true });
  }

  async forgetPending(): Promise<void> {
    await rm(this.#pending, { force: true });
  }

  /** The keys to enrol with: the same until `save`, so that an enrolment whose answer was lost can be repeated. */
  async pendingKeys(role: TokenRole): Promise<AgentKeys> {
    await createPrivateFile(this.#pending, JSON.stringify(await makeKeys(role)));
    try {
      return keysSchema.parse(JSON.parse((await readPrivateFile(this.#pending)) ?? ''));
    } catch (cause) {
      throw new HeadgateError('HG2003', `'${this.#pending}' holds no keys`, { remedy: 'remove it', cause });
    }
  }
}

export async function makeKeys(role: TokenRole): Promise<AgentKeys> {
  const keys = { control: await makeKey(), gateway: await makeKey() };
  return role === 'node' ? keys : { ...keys, issuers: { node: await makeKey(), gateway: await makeKey() } };
}

/**
 * Joins the hub's answer with the keys that it was asked for.
 *
 * @throws HG2005 when a certificate is not for its key, or its name is no agent's.
 */
export function joinCredentials(answer: Credentials | undefined, keys: AgentKeys): AgentCredentials {
  if (answer === undefined) throw new HeadgateError('HG2005', 'the hub answered without certificates');
  const { controlCertificate, controlCa, gatewayCertificate, gatewayCa, issuers } = answer;
  try {
    return checked({
      control: { certificate: `${controlCertificate}${controlCa}`, privateKey: keys.control, ca: controlCa },
      gateway: { certificate: gatewayCertificate, privateKey: keys.gateway, ca: gatewayCa },
      issuers:
        issuers === undefined || keys.issuers === undefined
          ? undefined
          : {
              node: { certificate: issuers.nodeCertificate, privateKey: keys.issuers.node, ca: issuers.nodeCa },
              gateway: {
                certificate: issuers.gatewayCertificate,
                privateKey: keys.issuers.gateway,
                ca: gatewayCa,
              },
              server: {
                certificate: `${issuers.serverCertificate}${controlCa}`,
                privateKey: keys.control,
                ca: controlCa,
              },
            },
    });
  } catch (cause) {
    throw new HeadgateError('HG2005', "the hub's answer holds no usable certificates", { cause });
  }
}

function checked({ control, gateway, issuers }: Omit<AgentCredentials, 'identity'>): AgentCredentials {
  const pairs = issuers === undefined ? [control, gateway] : [control, gateway, ...Object.values(issuers)];
  for (const { certificate, privateKey } of pairs) {
    if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKey))) {
      throw new HeadgateError('HG1004', 'a key does not match its certificate');
    }
  }
  const identity = identityOf(new X509Certificate(control.certificate));
  if (identity === undefined || identity.kind === 'hub') {
    throw new HeadgateError('HG1004', 'the control certificate is not an of an agent');
  }
  return { identity, control, gateway, issuers };
}
