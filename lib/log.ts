import pino from 'pino';

import { printable } from './printable.ts';

export interface LogFields {
  readonly cluster?: string;
  readonly node?: string;
  readonly revision?: bigint | number;
  readonly error?: unknown;
  readonly [field: string]: unknown;
}

/** Structured log: one JSON object a line on standard error. Secrets never go in. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  with(fields: LogFields): Log;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export function createLog(component: string, level: LogLevel = 'info', fields: LogFields = {}): Log {
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'msg',
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    escaping(pino.destination({ fd: 2, sync: true })),
  );
  return wrap(logger, { component, ...fields });
}

/**
 * JSON may hold what a terminal takes as a command or a change of direction: C1 controls, bidirectional marks. Here
 * they are escaped like the others. Synchronous: a line written just before a crash is not lost.
 */
function escaping(destination: pino.DestinationStream): pino.DestinationStream {
  return { write: (line) => destination.write(`${printable(line.trimEnd())}\n`) };
}

export const silentLog: Log = wrap(pino({ level: 'silent' }), {});

/** pino's own children would repeat a name that a line gives again, and a line would hold it twice. */
function wrap(logger: pino.Logger, base: LogFields): Log {
  const line = (fields: LogFields | undefined): Record<string, unknown> => plain({ ...base, ...fields });
  return {
    debug: (message, fields) => logger.debug(line(fields), message),
    info: (message, fields) => logger.info(line(fields), message),
    warn: (message, fields) => logger.warn(line(fields), message),
    error: (message, fields) => logger.error(line(fields), message),
    with: (fields) => wrap(logger, { ...base, ...fields }),
  };
}

function plain(fields: LogFields): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === 'bigint') out[name] = Number(value);
    else if (value instanceof Error)
      out[name] =
        'line' in value && typeof value.line === 'function' ? String(value.line()) : `${value.name}: ${value.message}`;
    else out[name] = value;
  }
  return out;
}
