import { connect } from 'node:net';
import { eventually } from './fleet.fixture.ts';

/** Resolves when nobody takes connections at an address, `host:port`, any more. */
export async function refuses(address: string): Promise<void> {
  const [host = '', port = ''] = address.split(':');
  const taken = async (): Promise<boolean> =>
    await new Promise((resolve) => {
      const socket = connect({ host, port: Number(port) });
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
  await eventually(
    async () => !(await taken()),
    () => `${address} takes connections`,
  );
}
