import { download, EchoStream } from '../safety/long-streams.ts';
import type { Target } from './generators.ts';
import type { Site } from './site.ts';

export interface StreamCounts {
  readonly websockets: number;
  readonly downloads: number;
}

/** WebSockets that get an echo all the time, and downloads that do not end, spread over the hosts. */
export class LongStreams implements AsyncDisposable {
  readonly #site: Site;
  readonly #echoes: readonly { readonly name: string; readonly stream: EchoStream }[];
  readonly #downloads: readonly { readonly name: string; readonly body: Promise<string> }[];

  private constructor(
    site: Site,
    echoes: readonly { readonly name: string; readonly stream: EchoStream }[],
    downloads: readonly { readonly name: string; readonly body: Promise<string> }[],
  ) {
    this.#site = site;
    this.#echoes = echoes;
    this.#downloads = downloads;
  }

  static async open(
    site: Site,
    { http, hosts }: Target,
    { websockets, downloads }: StreamCounts,
  ): Promise<LongStreams> {
    const names = (count: number): string[] => Array.from({ length: count }, (_, i) => hosts[i % hosts.length] ?? '');
    const bodies = names(downloads).map((name) => ({ name, body: download(http, name).catch(String) }));
    const echoes = names(websockets).map(async (name) => ({ name, stream: await EchoStream.open(http, name) }));
    return new LongStreams(site, await Promise.all(echoes), bodies);
  }

  /** @returns those that did not come to their good end, in words. */
  async finish(): Promise<readonly string[]> {
    const broken: string[] = [];
    for (const { name, stream } of this.#echoes) {
      if (!(await stream.finish())) broken.push(`WebSocket of ${name}: ${stream.back} of ${stream.sent} echoes`);
    }
    await this.#site.pods.endDownloads();
    for (const { name, body } of this.#downloads) {
      const text = await body;
      if (!/^x+end$/.test(text)) broken.push(`download from ${name} ended in ${text.slice(-80)}`);
    }
    return broken;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { stream } of this.#echoes) stream[Symbol.dispose]();
    await this.#site.pods.endDownloads().catch(() => undefined);
  }
}
