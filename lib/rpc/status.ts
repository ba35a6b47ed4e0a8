import { Metadata, status, type StatusObject } from '@grpc/grpc-js';
import { z } from 'zod';
import { codes, HeadgateError, type Code } from '../errors.ts';

/** Trailing metadata that carries a HeadgateError from server to caller, JSON. */
const errorKey = 'headgate-error-bin';

/** Characters of a message from the other end that are kept. */
const maxMessage = 1_024;

const wireError = z.object({
  code: z.string(),
  message: z.string(),
  object: z.string().optional(),
  field: z.string().optional(),
  remedy: z.string().optional(),
});

/** The status that a server ends a call with. */
export function toStatus(thrown: unknown): StatusObject {
  const error = HeadgateError.from(thrown);
  // Our own mistakes stay in our own log.
  const message = error.code === 'HG9001' ? 'internal error' : error.message;
  const { code, object, field, remedy } = error;
  const metadata = new Metadata();
  metadata.set(errorKey, Buffer.from(JSON.stringify({ code, message, object, field, remedy })));
  return { code: statusCode(error.code), details: oneLine(message), metadata };
}

/** What a call failed with, as the caller sees it. */
export function fromStatus({ code, details, metadata }: StatusObject, peer: string): HeadgateError {
  const carried = metadata.get(errorKey)[0];
  if (carried instanceof Buffer) {
    const error = parse(carried);
    if (error !== undefined) return error;
  }
  const why = oneLine(details);
  switch (code) {
    case status.UNAUTHENTICATED:
      return new HeadgateError('HG2005', `${peer} does not accept our certificate: ${why}`);
    case status.PERMISSION_DENIED:
      return new HeadgateError('HG2006', `${peer} refuses: ${why}`);
    case status.UNIMPLEMENTED:
      return new HeadgateError('HG3002', `${peer} does not know this call: ${why}`);
    case status.RESOURCE_EXHAUSTED:
    case status.INTERNAL:
    case status.DATA_LOSS:
      return new HeadgateError('HG3006', `the stream with ${peer} broke: ${why}`);
    default:
      return new HeadgateError('HG3001', `${peer} is not reachable: ${why}`);
  }
}

/** An error that the other end named by code and message; an unknown code becomes HG3001. */
export function errorFromPeer(code: string, message: string, detail: object = {}): HeadgateError {
  const known: Code = Object.hasOwn(codes, code) ? (code as Code) : 'HG3001';
  return new HeadgateError(known, oneLine(message), detail);
}

function parse(bytes: Buffer): HeadgateError | undefined {
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
  const { success, data } = wireError.safeParse(json);
  if (!success) return undefined;
  const { code, message, ...rest } = data;
  const detail = Object.fromEntries(Object.entries(rest).map(([name, text]) => [name, oneLine(text ?? '')]));
  return errorFromPeer(code, message, detail);
}

function statusCode(code: Code): status {
  switch (code) {
    case 'HG2004':
    case 'HG2006':
      return status.PERMISSION_DENIED;
    case 'HG2005':
      return status.UNAUTHENTICATED;
    case 'HG2007':
      return status.NOT_FOUND;
    case 'HG2008':
      return status.ALREADY_EXISTS;
    case 'HG3001':
      return status.UNAVAILABLE;
    case 'HG3002':
    case 'HG3003':
      return status.FAILED_PRECONDITION;
    case 'HG3004':
      return status.ABORTED;
    case 'HG3005':
      return status.DEADLINE_EXCEEDED;
    default:
      return codes[code] === 'user' ? status.INVALID_ARGUMENT : status.INTERNAL;
  }
}

/**
 * One line of bounded length, so that another program's text cannot forge log lines or terminal codes; without lone
 * surrogates, which no header can carry.
 */
function oneLine(text: string): string {
  return text.slice(0, maxMessage).replaceAll(/\p{C}/gu, ' ');
}
