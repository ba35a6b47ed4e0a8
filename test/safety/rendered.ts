/*
 * Reads what was rendered back by rules written down here anew, from the manual and the design, and not shared with
 * the renderer: what is not exactly of the form that it must have is a fault.
 */

import { faultsOfBackends, isServer } from './rendered-backends.ts';

const HOST = String.raw`(?:\*\.)?[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)*`;
const SLOT = String.raw`(?:s\d{4}|p\d{2})`;
const ROUTE = String.raw`(?:${SLOT}\|[0-9a-f]{16}\||\|[0-9a-f]{16}\|(?:\d{1,6}:${SLOT}:)*)(?:\|${SLOT})*(?:\|!)?`;
const PATH = String.raw`(?:/[\x21-\x22\x24-\x3e\x40-\x7e]*)?#?`;
const ID = '[0-9a-f]{12}!';

/** What host.map gives; after a mark for a host with regular expressions, or that is passed through. */
const MARKED = `(?:~(?:>|[0-3][0-7]))?${ID}`;

/** Lines of each map, by its name. */
const mapLines: Readonly<Record<string, RegExp>> = {
  host: new RegExp(`^${HOST} ${MARKED}$`),
  wildcard: new RegExp(`^${HOST} ${MARKED}$`),
  path: new RegExp(`^(?:${HOST}|(?:[0-3][0-7])?${ID})${PATH} ${ROUTE}$`),
  sticky: new RegExp(String.raw`^[0-9a-f]{12}\.[0-9a-f]{16} ${SLOT}$`),
  gateway: new RegExp(`^[0-9a-f]{16} ${SLOT}$`),
  peer: /^[a-z0-9.-]+ [a-z0-9-]+$/,
  tag: new RegExp(`^${SLOT} [0-9a-f]{12}$`),
  passthrough: new RegExp(`^${HOST} (?:${SLOT}|nothing)$`),
  response: /^s\d{4} [1-9]\d{0,7}$/,
  tunnel: /^s\d{4} [1-9]\d{0,7}$/,
  queue: /^s\d{4} [1-9]\d{0,6}$/,
  kept: /^s\d{4} 1$/,
  regex: new RegExp(String.raw`^(?:[0-9a-f]{12}\.[0-9a-v]|[0-3][0-7]${ID}${PATH}) ${ROUTE}$`),
};

/** One of a host's patterns, which begins with the host's id. */
const REGEX_LINE = /^\^[0-3][0-7][0-9a-f]{12}!\(\?:[\x21-\x7e]+\)\(\.\) [0-9a-f]{12}\.\\1$/;

const DEFAULT_LINE = 'certs/default.pem default.headgate.invalid';
const CRT_LINE = new RegExp(String.raw`^certs/c-[0-9a-f]{16}\.pem(?: ${HOST})+$`);
const PEM = /^(?:-----BEGIN ([A-Z ]+)-----\n(?:[A-Za-z0-9+/=]{1,76}\n)+-----END \1-----\n)+$/;

/** @param plain the same without anything of a tenant's. @returns what is not as it must be */
export function faultsOfFiles(files: ReadonlyMap<string, string>, plain: ReadonlyMap<string, string>): string[] {
  const faults: string[] = [];
  const lines = (name: string, text: string, allowed: (line: string) => boolean): void => {
    if (text !== '' && !text.endsWith('\n')) faults.push(`${name}: no newline at the end`);
    for (const line of text.split('\n').slice(0, -1)) {
      if (!allowed(line)) faults.push(`${name}: ${JSON.stringify(line.slice(0, 200))}`);
    }
  };
  for (const [name, text] of files) {
    if (plain.get(name) === text) continue;
    const map = /^maps\/([a-z]+)\.map$/.exec(name)?.[1];
    const form = map === undefined ? undefined : mapLines[map];
    if (form !== undefined) lines(name, text, (line) => form.test(line));
    else if (/^maps\/regex-[0-3][0-7]\.map$/.test(name)) lines(name, text, (line) => REGEX_LINE.test(line));
    else if (/^conf\/(?:50-slots-\d{4}|60-peers)\.cfg$/.test(name)) {
      const before = plain.get(name);
      const wrong = faultsOfBackends(text, new Set(before?.split('\n')));
      faults.push(...wrong.map((line) => `${name}: ${JSON.stringify(line.slice(0, 300))}`));
      if (before !== undefined && sections(text).join() !== sections(before).join())
        faults.push(`${name}: other sections`);
    } else if (name === 'certs/crt-list.txt') lines(name, text, (line) => line === DEFAULT_LINE || CRT_LINE.test(line));
    else if (/^certs\/(?:c-[0-9a-f]{16}|ca-[0-9a-f]{16}|default)\.pem$/.test(name)) {
      if (!PEM.test(text)) faults.push(`${name}: no plain PEM`);
    } else faults.push(`${name}: changed`);
  }
  for (const name of plain.keys()) if (!files.has(name)) faults.push(`${name}: gone`);
  return [...faults, ...faultsOfNumbers(files)];
}

/** A section begins at the start of a line; directives are indented. */
function sections(text: string): string[] {
  return text.split('\n').filter((line) => /^\S/.test(line));
}

/** Slots are numbered without a gap, and none is there twice. */
function faultsOfNumbers(files: ReadonlyMap<string, string>): string[] {
  const names = [...files.keys()].filter((name) => name.startsWith('conf/50-slots-')).sort();
  const all = names.flatMap((name) => sections(files.get(name) ?? ''));
  const wrong = all.find((line, i) => line !== `backend s${String(i).padStart(4, '0')}`);
  return wrong === undefined ? [] : [`slots: ${JSON.stringify(wrong.slice(0, 200))} is out of place`];
}

const COMMANDS = [
  /^add map maps\/[a-z]+(?:-[0-3][0-7])?\.map <<$/,
  /^set map maps\/[a-z]+\.map \S+ \S+$/,
  /^del map maps\/[a-z]+(?:-[0-3][0-7])?\.map \S+$/,
  new RegExp(String.raw`^(?:enable (?:health|server)|del server) ${SLOT}/e-[0-9a-f]{12}$`),
  new RegExp(String.raw`^set server ${SLOT}/e-[0-9a-f]{12} (?:state (?:ready|maint|drain)|weight [01])$`),
  /^enable dynamic-cookie backend s\d{4}$/,
  /^(?:new|commit|del) ssl ca-file certs\/ca-[0-9a-f]{16}\.pem$/,
  /^set ssl ca-file certs\/ca-[0-9a-f]{16}\.pem <<$/,
  /^commit ssl cert certs\/default\.pem$/,
  /^set ssl cert certs\/default\.pem <<$/,
  /^(?:new|commit|del) ssl cert certs\/c-[0-9a-f]{16}\.pem$/,
  /^set ssl cert certs\/c-[0-9a-f]{16}\.pem <<$/,
  /^add ssl crt-list certs\/crt-list\.txt <<$/,
  /^del ssl crt-list certs\/crt-list\.txt certs\/c-[0-9a-f]{16}\.pem$/,
];

const ADD_SERVER = /^add server (s\d{4}|p\d{2})\/e-[0-9a-f]{12} (.*)$/;

function isOurs(command: string): boolean {
  const [, backend, words] = ADD_SERVER.exec(command) ?? [];
  if (backend !== undefined && words !== undefined) return isServer(backend, words);
  return COMMANDS.some((form) => form.test(command));
}

/**
 * What HAProxy would run of these bytes (management guide, 9.3): a line is as many commands as unescaped ";" part it
 * into; one that ends in "<<" takes the lines up to a blank one.
 */
export function commandsIn(bytes: string): string[] {
  const commands: string[] = [];
  const lines = bytes.split('\n');
  for (let at = 0; at < lines.length - 1; at++) {
    const line = lines[at] ?? '';
    commands.push(...(line.match(/(?:\\.|[^;\\])+/g) ?? ['']));
    if (line.endsWith('<<')) while (lines[++at] !== '') if (at >= lines.length) return [...commands, 'unended payload'];
  }
  return commands;
}

/** @returns those of the commands in `bytes` that are none of ours, and a fault where there are more or fewer. */
export function faultsOfCommands(bytes: string, count: number): string[] {
  const commands = commandsIn(bytes);
  const faults = commands.filter((command) => !isOurs(command));
  if (commands.length !== count) faults.push(`${commands.length} commands where ${count} were meant`);
  return faults;
}
