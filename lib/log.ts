import pino from 'pino';

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
      base: { component, ...fields },
      messageKey: 'msg',
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    // Synchronous: a line written just before a crash is not lost.
    pino.destination({ fd: 2, sync: true }),
  );
  return wrap(logger);
}

export const silentLog: Log = wrap(pino({ level: 'silent' }));

function wrap(logger: pino.Logger): Log {
  return {
    debug: (message, fields) => logger.debug(plain(fields), message),
    info: (message, fields) => logger.info(plain(fields), message),
    warn: (message, fields) => logger.warn(plain(fields), message),
    error: (message, fields) => logger.error(plain(fields), message),
    with: (fields) => wrap(logger.child(plain(fields))),
  };
}

function plain(fields: LogFields | undefined): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields ?? {})) {
    if (typeof value === 'bigint') out[name] = Number(value);
    else if (value instanceof Error)
      out[name] =
        'line' in value && typeof value.line === 'function' ? String(value.line()) : `${value.name}: ${value.message}`;
    else out[name] = value;
  }
  return out;
}
