import { HeadgateError } from '../errors.ts';
import { PROTOCOL_VERSION } from './protocol.ts';

/**
 * The version that both ends use, from the other end's highest. N and N±1 interoperate: a newer end comes
 * down to ours, an older one must be at most one behind.
 *
 * @throws HeadgateError HG3002
 */
export function agreeVersion(theirs: number, ours = PROTOCOL_VERSION): number {
  if (theirs < Math.max(1, ours - 1)) {
    throw new HeadgateError('HG3002', `the other end speaks protocol version ${theirs}, this one ${ours}`, {
      remedy: 'upgrade the older end; neighbouring versions work together',
    });
  }
  return Math.min(theirs, ours);
}
