import { describe, expect, it } from 'vitest';
import { haproxyBinary } from '../testing/rig.fixture.ts';
import { parseProcesses } from './master.ts';
import { parseBuild, probeHaproxy, takesCas } from './probe.ts';

function output(version: string, features: string): string {
  return `HAProxy version ${version} 2026/10/17 - https://haproxy.org/\nFeature list : ${features}\n`;
}

describe('the binary', () => {
  it('is asked what it is and where', async () => {
    const build = await probeHaproxy(haproxyBinary);
    expect(build.path).toMatch(/^\//);
    expect(build.version).toMatch(/^\d+\.\d+/);
    expect(build.features).toContain('PROMEX');
  });

  it.each([
    ['2.6.12-1+deb12u4', '+OPENSSL +PROMEX'],
    ['3.2.26', '-X +OPENSSL +PROMEX'],
  ])('may be of version %s with %s', (version, features) => {
    expect(parseBuild('/sbin/haproxy', output(version, features)).version).toBe(version);
  });

  it.each([
    ['2.4.22', '+OPENSSL +PROMEX', 'too old'],
    ['3.2.26', '-OPENSSL +PROMEX', 'without OPENSSL'],
    ['3.2.26', '+OPENSSL', 'without PROMEX'],
  ])('may not be of version %s with %s', (version, features, problem) => {
    expect(() => parseBuild('/sbin/haproxy', output(version, features))).toThrow(
      expect.objectContaining({ code: 'HG5001', message: expect.stringContaining(problem) }),
    );
  });
});

it('changes CAs at runtime where HAProxy is known to bear it', () => {
  const versions = [
    '2.6.12-1+deb12u4',
    '3.0.11-1+deb13u1',
    '3.2-dev16',
    '3.2.7',
    '3.2.8',
    '3.2.26-1',
    '3.3.0',
    '4.0.1',
  ];
  expect(versions.filter((version) => takesCas(version))).toEqual(['3.2.8', '3.2.26-1', '3.3.0', '4.0.1']);
});

it('reads the table of processes', () => {
  const table = [
    '#<PID>          <type>          <reloads>       <uptime>        <version>      ',
    '7955            master          3 [failed: 1]   0d00h00m01s     2.6.12-1+deb12u4',
    '# workers',
    '7960            worker          0               0d00h00m01s     2.6.12-1+deb12u4',
    '# old workers',
    '7950            worker          1               0d00h01m01s     2.6.12-1+deb12u4',
    '# programs',
    '',
  ].join('\n');
  expect(parseProcesses(table)).toEqual({ master: 7955, reloads: 3, failed: 1, worker: 7960, oldWorkers: [7950] });
  expect(() => parseProcesses('')).toThrow(expect.objectContaining({ code: 'HG5004' }));
});
