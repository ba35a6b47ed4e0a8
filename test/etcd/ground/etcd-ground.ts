import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../lib/clock.ts';
import { silentLog } from '../../../lib/log.ts';
import { openEtcdStore } from '../../../hub/store/etcd/etcd-store.ts';
import type { EtcdSettings } from '../../../hub/store/etcd/settings.ts';
import type { Store } from '../../../hub/store/store.ts';
import { ClusterCredentials } from '../../kube/ground/credentials.ts';
import { freePort, Program } from '../../kube/ground/program.ts';
import { kubePrograms } from '../../kube/ground/programs.ts';

export interface EtcdGroundOptions {
  /** 3.6 where absent. */
  readonly version?: '3.6' | '3.4';
  /** 1 where absent. */
  readonly members?: number;
  /** Clients must show a certificate. */
  readonly tls?: boolean;
  /** Keep what is acknowledged over a machine's loss too: what files cost is part of what is tested. */
  readonly fsync?: boolean;
}

/** 3.4 comes from the distribution, which may have another version. */
export const hasOldEtcd = (await kubePrograms()).oldEtcd !== undefined;

interface MemberPlace {
  readonly name: string;
  readonly client: string;
  readonly peer: string;
  readonly health: string;
}

/** A real etcd cluster on loopback; every member is a process of its own that can be paused, killed and started. */
export class EtcdGround implements AsyncDisposable {
  readonly folder: string;
  readonly #file: string;
  readonly #places: readonly MemberPlace[];
  readonly #programs: Program[] = [];
  readonly #credentials: ClusterCredentials | undefined;
  readonly #options: EtcdGroundOptions;

  private constructor(
    folder: string,
    file: string,
    places: readonly MemberPlace[],
    credentials: ClusterCredentials | undefined,
    options: EtcdGroundOptions,
  ) {
    this.folder = folder;
    this.#file = file;
    this.#places = places;
    this.#credentials = credentials;
    this.#options = options;
  }

  static async start(options: EtcdGroundOptions = {}): Promise<EtcdGround> {
    const programs = await kubePrograms();
    const file = (options.version ?? '3.6') === '3.4' ? programs.oldEtcd : programs.etcd;
    if (file === undefined) throw new Error('there is no etcd 3.4 here: see script/kube-programs');
    const folder = await mkdtemp(join(tmpdir(), 'headgate-etcd-'));
    const scheme = options.tls === true ? 'https' : 'http';
    const places: MemberPlace[] = [];
    for (let i = 0; i < (options.members ?? 1); i++) {
      places.push({
        name: `m${i}`,
        client: `${scheme}://127.0.0.1:${await freePort()}`,
        peer: `http://127.0.0.1:${await freePort()}`,
        health: `http://127.0.0.1:${await freePort()}`,
      });
    }
    const credentials =
      options.tls === true ? await ClusterCredentials.create(join(folder, 'certificates'), 'etcd') : undefined;
    const ground = new EtcdGround(folder, file, places, credentials, options);
    try {
      await Promise.all(places.map(async (_, index) => await ground.begin(index)));
    } catch (error) {
      await ground[Symbol.asyncDispose]();
      throw error;
    }
    return ground;
  }

  get urls(): readonly string[] {
    return this.#places.map(({ client }) => client);
  }

  /** Flags of a hub beside `--store`; for a store that tests open, see `settings`. */
  get store(): string {
    return `etcd:${this.urls.join(',')}`;
  }

  /** @param prefix one of its own for every fleet. */
  async settings(prefix = '/headgate/'): Promise<EtcdSettings> {
    if (this.#credentials === undefined) return { urls: this.urls, prefix };
    const { certificate, privateKey } = await this.#credentials.issueClient({ name: 'hub', groups: [] });
    const tls = {
      ca: Buffer.from(this.#credentials.ca),
      certificate: Buffer.from(certificate),
      privateKey: Buffer.from(privateKey),
    };
    return { urls: this.urls, prefix, tls };
  }

  async open(prefix?: string): Promise<Store> {
    return await openEtcdStore({ settings: await this.settings(prefix), clock: systemClock, log: silentLog });
  }

  member(index: number): Program {
    const program = this.#programs[index];
    if (program === undefined) throw new Error(`there is no member ${index}`);
    return program;
  }

  /** Starts a member that does not run, on what it has on disk; resolves when it serves. */
  async begin(index: number): Promise<void> {
    const place = this.#places[index];
    if (place === undefined) throw new Error(`there is no member ${index}`);
    const { name, client, peer, health } = place;
    const data = join(this.folder, name);
    await mkdir(data, { recursive: true, mode: 0o700 });
    const program = Program.start(
      this.#file,
      [
        `--name=${name}`,
        `--data-dir=${data}`,
        `--listen-client-urls=${client}`,
        `--advertise-client-urls=${client}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--listen-metrics-urls=${health}`,
        `--initial-cluster=${this.#places.map((one) => `${one.name}=${one.peer}`).join(',')}`,
        '--log-level=warn',
        ...(this.#options.fsync === true ? [] : ['--unsafe-no-fsync']),
        ...this.#tlsFlags(),
      ],
      join(this.folder, `${name}.log`),
    );
    this.#programs[index] = program;
    await program.ready(async () => (await fetch(`${health}/health`).catch(() => undefined))?.ok === true);
  }

  /** Everything that a member has on disk, as one who steals the disk reads it. */
  async disk(index = 0): Promise<Buffer> {
    return await readFile(join(this.folder, `m${index}`, 'member/snap/db'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#programs.map(async (program) => await program.kill()));
    await rm(this.folder, { recursive: true, force: true });
  }

  #tlsFlags(): string[] {
    const credentials = this.#credentials;
    if (credentials === undefined) return [];
    return [
      `--cert-file=${credentials.file('server.pem')}`,
      `--key-file=${credentials.file('server.key')}`,
      `--trusted-ca-file=${credentials.file('ca.pem')}`,
      '--client-cert-auth',
    ];
  }
}
