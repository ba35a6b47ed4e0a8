import { z } from 'zod';
import { HeadgateError, type Code } from '../errors.ts';
import { titleOf, type ApiResource, type Scope } from './resource.ts';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

/** What was asked of the API server. */
export interface Asked {
  readonly verb: Verb;
  readonly resource: ApiResource;
  readonly name?: Scope | undefined;
  readonly subresource?: string | undefined;
}

/** An answer of the API server that is no success. */
export class ApiError extends HeadgateError {
  /** HTTP status. */
  readonly status: number;
  /** Kubernetes' word for it: `NotFound`, `Expired`, …; empty where the answer had none. */
  readonly reason: string;
  /** Milliseconds to wait before asking again; undefined where the answer does not say. */
  readonly retryAfterMs: number | undefined;

  constructor(
    asked: Asked,
    answer: { status: number; reason: string; message: string; retryAfterMs?: number | undefined },
  ) {
    const { verb, name, resource } = asked;
    const { code, remedy } = meaning(asked, answer.status);
    const words = answer.message === '' ? '' : `: ${answer.message.slice(0, 500)}`;
    super(code, `the API server refused to ${verb} ${titleOf(resource, name)} with ${answer.status}${words}`, {
      object: titleOf(resource, name),
      remedy,
    });
    this.name = 'ApiError';
    this.status = answer.status;
    this.reason = answer.reason;
    this.retryAfterMs = answer.retryAfterMs;
  }
}

function meaning({ verb, resource, name, subresource }: Asked, status: number): { code: Code; remedy: string } {
  switch (status) {
    case 401:
      return { code: 'HG2005', remedy: 'give a kubeconfig or ServiceAccount whose credential this API server accepts' };
    case 403: {
      const what = subresource === undefined ? resource.plural : `${resource.plural}/${subresource}`;
      const where = (name?.namespace ?? '') === '' ? 'ClusterRole' : `Role of namespace ${name?.namespace}`;
      const rule = `apiGroups ["${resource.group}"], resources ["${what}"], verbs ["${verb}"]`;
      return { code: 'HG2006', remedy: `give the ServiceAccount a ${where} with the rule ${rule}` };
    }
    case 404:
      return { code: 'HG2007', remedy: 'create it, or correct the name; for a kind, install its definition' };
    case 409:
      return { code: 'HG2008', remedy: 'read it again and repeat the change' };
    case 410:
      return { code: 'HG4002', remedy: 'nothing: it is listed again' };
    case 400:
    case 422:
      return { code: 'HG1002', remedy: 'correct the field that the API server names' };
    default:
      return { code: 'HG3001', remedy: 'nothing, if it passes: it is tried again; otherwise look at the API server' };
  }
}

const statusShape = z.object({
  code: z.int().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
  details: z.object({ retryAfterSeconds: z.number().optional() }).nullish(),
});

/** Of a `Status` object, as an answer's body or a watch's ERROR. */
export function apiError(asked: Asked, body: unknown, httpStatus: number, retryAfter?: string): ApiError {
  const parsed = statusShape.safeParse(body);
  const { code, reason = '', message = '', details } = parsed.success ? parsed.data : {};
  const seconds = Number(retryAfter ?? details?.retryAfterSeconds);
  return new ApiError(asked, {
    status: code ?? httpStatus,
    reason,
    message,
    retryAfterMs: Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : undefined,
  });
}
