import type { RpcServices } from '../../lib/rpc/index.ts';
import type { Enrolment } from './enrolment.ts';

/** Enrolment as the hub's server offers it. */
export function enrolmentServices(enrolment: Enrolment): Pick<RpcServices, 'enrol' | 'nonce' | 'renew'> {
  return {
    enrol: (request) => enrolment.enrol(request),
    nonce: (connection) => Promise.resolve(enrolment.nonce(connection)),
    renew: (request, connection) => enrolment.renew(request, connection),
  };
}
