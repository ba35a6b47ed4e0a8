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
 * @throws HeadgateError HG1001 with `file:line`, never with text of the file: it may be a Secret.
 */
export function yamlDocuments(text: string, file: string): readonly RawDocument[] {
  if (text.length > MAX_TEXT) throw unreadable(file, 1, 'the file is larger than 4 MiB', 'split it into several files');
  try {
    return read(text, file);
  } catch (thrown) {
    if (thrown instanceof HeadgateError) throw thrown;
    // Stack overflow on absurd nesting, or aliases that multiply.
    throw unreadable(file, 1, 'the document is nested or repeated beyond reason', 'write it out plainly', thrown);
  }
}

function read(text: string, file: string): readonly RawDocument[] {
  const lineCounter = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter, merge: true, prettyErrors: false, logLevel: 'silent' });
  // An empty stream has no documents, and is an array of its own kind.
  const documents = [...parsed];
  for (const document of documents) {
    const [error] = document.errors;
    if (error === undefined) continue;
    const line = lineCounter.linePos(error.pos[0]).line;
    throw unreadable(file, line, plainReason(error.message), 'correct the syntax');
  }
  return documents.flatMap((document) =>
    document.contents === null || (isScalar(document.contents) && document.contents.value === null)
      ? []
      : [rawDocument(document, lineCounter)],
  );
}

function rawDocument(document: Document.Parsed, lineCounter: LineCounter): RawDocument {
  const lineAt = (node: unknown): number | undefined => {
    const range = (node as Partial<Node> | null)?.range;
    return range === undefined || range === null ? undefined : lineCounter.linePos(range[0]).line;
  };
  const line = lineAt(document.contents) ?? 1;
  return {
    value: document.toJS({ maxAliasCount: 100 }),
    line,
    lineOf: (path) => {
      for (let length = path.length; length > 0; length -= 1) {
        const found = lineAt(document.getIn(path.slice(0, length), true));
        if (found !== undefined) return found;
      }
      return line;
    },
    lines: () => {
      const lines = new Map<string, number>();
      const walk = (node: unknown, path: readonly PropertyKey[]): void => {
        const at = lineAt(node);
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
