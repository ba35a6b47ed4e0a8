import { HeadgateError } from '../../../lib/errors.ts';
import type { Fixed } from '../model/desired.ts';
import { files } from '../model/names.ts';
import { setCertificate, setGatewayCa } from '../render/commands.ts';
import type { RuntimeClient } from '../runtime/client.ts';

/**
 * Gives a worker the gateway's credentials. Whom it trusts comes before what it shows, so that it never shows a leaf
 * of a root that it does not trust.
 *
 * @param withCa whether it lacks the CAs, too
 * @throws HG5003 where HAProxy refuses them.
 */
export async function showGateway(
  client: Pick<RuntimeClient, 'send'>,
  { gatewayCertificate, gatewayCa }: Pick<Fixed, 'gatewayCertificate' | 'gatewayCa'>,
  withCa: boolean,
): Promise<void> {
  const replies = await client.send([
    ...(withCa ? setGatewayCa(gatewayCa) : []),
    ...setCertificate(files.gatewayCertificate, gatewayCertificate),
  ]);
  const refused = replies.find(({ ok }) => !ok);
  if (refused === undefined) return;
  throw new HeadgateError('HG5003', `HAProxy refused the gateway's credentials: ${refused.text}`);
}
