import { hash } from 'node:crypto';
import type { Log } from '../../../lib/log.ts';
import type { Fixed } from '../model/desired.ts';
import { files } from '../model/names.ts';
import type { Planner } from '../plan/planner.ts';
import type { ConfigFiles } from '../process/config-files.ts';
import { formatState, STATE_FILE } from '../process/state-file.ts';
import { renderFile, renderFiles } from '../render/files.ts';

export interface MirroredFilesOptions {
  readonly files: ConfigFiles;
  readonly planner: Pick<Planner, 'desired' | 'assignments'>;
  readonly fixed: Fixed;
  readonly log: Log;
}

/** HAProxy's files, which hold what the planner desires before HAProxy hears of it. */
export class MirroredFiles {
  readonly #options: MirroredFilesOptions;
  /** Files that differ from what is desired because a write failed. */
  readonly #unwritten = new Set<string>();
  #fixed: Fixed;

  constructor(options: MirroredFilesOptions) {
    this.#options = options;
    this.#fixed = options.fixed;
  }

  get fixed(): Fixed {
    return this.#fixed;
  }

  /** Whether files lack a change because a write failed. */
  get areBehind(): boolean {
    return this.#unwritten.size > 0;
  }

  /** Digest of what only a reload can change, but for the pools, which can be asked for. */
  get loaded(): string {
    return hash('sha256', renderFile(this.#options.planner.desired, this.#fixed, files.base) ?? '', 'hex');
  }

  /** Makes the folder hold all that is desired and nothing else, whoever wrote there. @returns it. @throws HG2003 */
  async replaceAll(): Promise<ReadonlyMap<string, string>> {
    const rendered = renderFiles(this.#options.planner.desired, this.#fixed);
    await this.#options.files.replaceAll(rendered);
    this.#unwritten.clear();
    return rendered;
  }

  /** Writes these as they should be, with those that could not be written before. @throws HG2003 */
  async write(names: Iterable<string>): Promise<void> {
    const { files: written, planner } = this.#options;
    for (const name of names) this.#unwritten.add(name);
    await written.write(
      [...this.#unwritten].map((name): [string, string | undefined] => [
        name,
        renderFile(planner.desired, this.#fixed, name),
      ]),
    );
    this.#unwritten.clear();
  }

  /** Other credentials of the gateway. @returns whether other CAs are trusted. @throws HG2003 */
  async writeGateway(gateway: Pick<Fixed, 'gatewayCertificate' | 'gatewayCa'>): Promise<boolean> {
    const withCa = gateway.gatewayCa !== this.#fixed.gatewayCa;
    this.#fixed = { ...this.#fixed, ...gateway };
    await this.write([files.gatewayCertificate, files.gatewayCa]);
    return withCa;
  }

  /** What lies in memory may be gone while HAProxy runs, for example when its user has logged out. @throws HG2003 */
  async restore(): Promise<void> {
    const { files: written, planner, log } = this.#options;
    if (!(await written.prepare())) return;
    await written.replaceAll(renderFiles(planner.desired, this.#fixed));
    log.warn("the folder with HAProxy's keys was gone and is there again");
  }

  /** What a new worker is to know of its servers; traffic is not in need of it. */
  async writeHealth(text: string): Promise<void> {
    try {
      await this.#options.files.write([[files.health, text]]);
    } catch (error) {
      this.#options.log.warn('the file of servers that are down cannot be written', { error });
    }
  }

  /** Without it the next agent decides anew what it could have taken over; traffic is not in need of it. */
  async saveState(): Promise<void> {
    const { files: written, planner, log } = this.#options;
    const { http, https, gateway } = this.#fixed.listeners;
    const state = { http, https, gateway, loaded: this.loaded, ...planner.assignments() };
    try {
      await written.write([[STATE_FILE, formatState(state)]]);
    } catch (error) {
      log.warn('what HAProxy holds cannot be noted for the next agent', { error });
    }
  }
}
