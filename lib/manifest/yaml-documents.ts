import { isCollection, isMap, isPair, isScalar, LineCounter, parseAllDocuments, type Document, type Node } from 'yaml';
import { HeadgateError } from '../errors.ts';
import { escapeUnprintable } from './quoted.ts';

/** Bytes of text that are read as manifests: more than any API server's request limit (3 MiB). */
export const MAX_TEXT = 4 * 1024 * 1024;

/** One YAML or JSON document as plain values. */
export interface RawDocument {
  readonly value: unknown;
  /** Line of its first node, from 1. */
  readonly line: number;
  /** Line of the node at a path, or of the nearest enclosing one that is there. */
  lineOf(path: readonly PropertyKey[]): number;
  /** Lines of every node, by path text. */
  lines(): ReadonlyMap<string, number>;
}

/**
 * Reads YAML 1.2 (core schema, merge keys as in Kubernetes' own reader) or JSON, which is a part of it.
 * Duplicate keys are errors; aliases may not multiply a document beyond reason.
 * @param firstLine line of the text in its file, where it is a part of one.
 * @throws HeadgateError HG1001 with `file:line`, never with text of the file: it may be a Secret.
 */
export function yamlDocuments(text: string, file: string, firstLine = 1): readonly RawDocument[] {
  if (text.length > MAX_TEXT) throw unreadable(file, 1, 'the file is larger than 4 MiB', 'split it into several files');
  try {
    return read(text, file, firstLine);
  } catch (thrown) {
    if (thrown instanceof HeadgateError) throw thrown;
    // Stack overflow on absurd nesting, or aliases that multiply.
    throw unreadable(
      file,
      firstLine,
      'the document is nested or repeated beyond reason',
      'write it out plainly',
      thrown,
    );
  }
}

function read(text: string, file: string, firstLine: number): readonly RawDocument[] {
  const lineCounter = new LineCounter();
  const lineAt = (offset: number): number => lineCounter.linePos(offset).line + firstLine - 1;
  const parsed = parseAllDocuments(text, { lineCounter, merge: true, prettyErrors: false, logLevel: 'silent' });
  // An empty stream has no documents, and is an array of its own kind.
  const documents = [...parsed];
  for (const document of documents) {
    const [error] = document.errors;
    if (error === undefined) continue;
    throw unreadable(file, lineAt(error.pos[0]), plainReason(error.message), 'correct the syntax');
  }
  return documents.flatMap((document) =>
    document.contents === null || (isScalar(document.contents) && document.contents.value === null)
      ? []
      : [rawDocument(document, lineAt)],
  );
}

function rawDocument(document: Document.Parsed, lineAt: (offset: number) => number): RawDocument {
  const lineOfNode = (node: unknown): number | undefined => {
    const range = (node as Partial<Node> | null)?.range;
    return range === undefined || range === null ? undefined : lineAt(range[0]);
  };
  const line = lineOfNode(document.contents) ?? lineAt(0);
  return {
    value: document.toJS({ maxAliasCount: 100 }),
    line,
    lineOf: (path) => {
      for (let length = path.length; length > 0; length -= 1) {
        const found = lineOfNode(document.getIn(path.slice(0, length), true));
        if (found !== undefined) return found;
      }
      return line;
    },
    lines: () => {
      const lines = new Map<string, number>();
      const walk = (node: unknown, path: readonly PropertyKey[]): void => {
        const at = lineOfNode(node);
        if (at !== undefined && path.length > 0) lines.set(fieldPath(path), at);
        if (!isCollection(node)) return;
        node.items.forEach((item, index) => {
          if (isPair(item)) walk(item.value, [...path, String(isScalar(item.key) ? item.key.value : item.key)]);
          else if (!isMap(node)) walk(item, [...path, index]);
        });
      };
      walk(document.contents, []);
      return lines;
    },
  };
}

/** "spec.rules[0].http.paths[1].path"; a key that is no plain word stands in brackets, as Kubernetes writes it. */
export function fieldPath(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'string' && /^[A-Za-z0-9_-]+$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${escapeUnprintable(String(part).slice(0, 120))}]`;
  }
  return text;
}

/** The parser quotes what it found after a colon; that may be part of a key. */
function plainReason(message: string): string {
  return message.replace(/:? *["'`][\s\S]*$/, '').replace(/\s+/g, ' ');
}

function unreadable(file: string, line: number, reason: string, remedy: string, cause?: unknown): HeadgateError {
  return new HeadgateError('HG1001', `does not parse: ${reason}`, { place: `${file}:${line}`, remedy, cause });
}

/** A part of a text that can be read by itself. */
export interface TextPart {
  readonly text: string;
  readonly firstLine: number;
}

/**
 * Cuts a text before each document marker. A line that begins with "---" is one wherever it stands (YAML 1.2,
 * 9.1.2), and documents share nothing; but where there are directives or end marks they stay together.
 */
export function documentTexts(text: string): readonly TextPart[] {
  if (/^(%|\.\.\.(\s|$))/m.test(text)) return [{ text, firstLine: 1 }];
  const parts: TextPart[] = [];
  let firstLine = 1;
  for (const part of text.split(/^(?=---(?:[ \t\r\n]|$))/m)) {
    parts.push({ text: part, firstLine });
    for (let at = part.indexOf('\n'); at !== -1; at = part.indexOf('\n', at + 1)) firstLine += 1;
  }
  return parts;
}
