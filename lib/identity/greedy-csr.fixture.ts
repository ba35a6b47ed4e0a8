import { importPair, makeKey } from './key.ts';
import { signingAlgorithm, x509 } from './x509.ts';

/** A CSR that asks for every name and right that it should not get. */
export async function greedyCsr(): Promise<Buffer> {
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=us.gateway.headgate',
    keys: await importPair(await makeKey()),
    signingAlgorithm,
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: 'url', value: 'spiffe://fleet/hub/h1' },
        { type: 'dns', value: 'us.gateway.headgate' },
      ]),
      new x509.BasicConstraintsExtension(true, 5, true),
    ],
  });
  return Buffer.from(request.rawData);
}
