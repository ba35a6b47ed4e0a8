import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { systemClock } from '../../../lib/clock.ts';
import { files } from '../model/names.ts';
import { haproxyBinary } from '../testing/rig.fixture.ts';
import { shortKeyLeaf } from '../testing/certificates.fixture.ts';
import { checkCertificates, checkConfiguration, withoutKeys } from './check.ts';
import { makeDefaultCertificate } from './default-certificate.ts';
import { probeHaproxy } from './probe.ts';

const folder = mkdtempSync(join(tmpdir(), 'hg-check-'));
afterAll(() => rmSync(folder, { recursive: true }));

function program(text: string): string {
  const path = join(folder, 'program');
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o700);
  return path;
}

const base = (more: string): Map<string, string> =>
  new Map([[files.base, `defaults\n  mode http\n  timeout client 1s\nfrontend f\n  bind 127.0.0.1:1\n${more}`]]);

it('caps time and memory', async () => {
  const limits = program(
    'echo "[ALERT] : KiB $(ulimit -v) seconds $(ulimit -t) environment $(env | grep -c HOME)" >&2; exit 1',
  );
  await expect(checkConfiguration(limits, folder, base(''))).rejects.toMatchObject({
    code: 'HG5002',
    message: expect.stringContaining('KiB 2097152 seconds 60 environment 0'),
  });
});

it('says so where the check is ended', async () => {
  await expect(checkConfiguration(program('kill -XCPU $$'), folder, base(''))).rejects.toMatchObject({
    message: expect.stringContaining('SIGXCPU'),
  });
});

it('does not let a configuration take more memory than that', async () => {
  const { path } = await probeHaproxy(haproxyBinary);
  await checkConfiguration(path, folder, base('ring r\n  format raw\n  size 1000000\n'));
  await expect(
    checkConfiguration(path, folder, base('ring r\n  format raw\n  size 3000000000\n')),
  ).rejects.toMatchObject({ code: 'HG5002', message: expect.stringContaining("ring 'r'") });
});

it('leaves every private key out, and keeps what is refused without one refused', async () => {
  const secret = await makeDefaultCertificate(systemClock.wall());
  const placeholder = await makeDefaultCertificate(systemClock.wall());
  const list = (hosts: string): Map<string, string> =>
    withoutKeys(
      new Map([
        ...base(`  bind 127.0.0.1:2 ssl crt-list ${files.crtList}\n  bind 127.0.0.1:3 ssl crt gateway/gateway.pem\n`),
        [
          files.crtList,
          `${files.defaultCertificate} none.invalid\ncerts/c-1.pem a.example *.b.example\ncerts/c-2.pem ${hosts}\n`,
        ],
        ...[files.defaultCertificate, files.gatewayCertificate, 'certs/c-1.pem', 'certs/c-2.pem'].map(
          (name): [string, string] => [name, secret],
        ),
      ]),
      placeholder,
    );
  const shown = list('c.example');
  expect([...shown.values()].filter((text) => text === secret)).toEqual([]);
  expect([...shown.keys()]).not.toContain('certs/c-1.pem');
  const { path } = await probeHaproxy(haproxyBinary);
  await checkConfiguration(path, folder, shown);
  await expect(checkConfiguration(path, folder, list('[no-such-option] c.example'))).rejects.toMatchObject({
    code: 'HG5002',
    message: expect.stringContaining('no-such-option'),
  });
});

it('has certificates loaded that no worker has yet, and names the one that cannot be', async () => {
  const { path } = await probeHaproxy(haproxyBinary);
  mkdirSync(join(folder, 'certs'));
  writeFileSync(join(folder, files.crtList), 'certs/c-1.pem a.example\n');
  writeFileSync(join(folder, 'certs/c-1.pem'), await makeDefaultCertificate(systemClock.wall()));
  await checkCertificates(path, folder);
  const { certificate, key } = await shortKeyLeaf('a.example');
  writeFileSync(join(folder, 'certs/c-1.pem'), certificate + key);
  await expect(checkCertificates(path, folder)).rejects.toMatchObject({
    code: 'HG5002',
    message: expect.stringContaining('certs/c-1.pem'),
  });
});
