import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { HeadgateError } from '../../lib/errors.ts';
import { createPrivateFile, readPrivateFile } from '../../lib/identity/private-file.ts';
import type { ResourceKey } from '../../lib/sync/index.ts';

const FORMAT = 1;
const NONCE = 12;
const TAG = 16;
const KEY = 32;

/** AES-256-GCM with a random nonce: format (1 byte), nonce (12), tag (16), ciphertext. Type and name are bound in. */
export interface Sealer {
  seal(key: ResourceKey, body: Uint8Array): Buffer;
  /** @returns undefined where the sealed bytes are not this resource's, or not under this key. */
  open(key: ResourceKey, sealed: Uint8Array): Buffer | undefined;
}

/** Reads the key (32 bytes, base64), or makes one (mode 0600) where the file is missing. */
export async function openSealer(keyFile: string): Promise<Sealer> {
  return sealer(await loadKey(keyFile));
}

function sealer(secret: Uint8Array): Sealer {
  return {
    seal(key, body) {
      const nonce = randomBytes(NONCE);
      const cipher = createCipheriv('aes-256-gcm', secret, nonce).setAAD(associated(key));
      const text = Buffer.concat([cipher.update(body), cipher.final()]);
      return Buffer.concat([Buffer.of(FORMAT), nonce, cipher.getAuthTag(), text]);
    },
    open(key, sealed) {
      if (sealed.length < 1 + NONCE + TAG || sealed[0] !== FORMAT) return undefined;
      const decipher = createDecipheriv('aes-256-gcm', secret, sealed.subarray(1, 1 + NONCE), { authTagLength: TAG })
        .setAAD(associated(key))
        .setAuthTag(sealed.subarray(1 + NONCE, 1 + NONCE + TAG));
      try {
        return Buffer.concat([decipher.update(sealed.subarray(1 + NONCE + TAG)), decipher.final()]);
      } catch {
        return undefined;
      }
    },
  };
}

/** Neither part can hold a zero byte, so the pair is unambiguous. */
function associated({ type, name }: ResourceKey): Buffer {
  return Buffer.from(`${type}\0${name}`);
}

async function loadKey(keyFile: string): Promise<Buffer> {
  let text = await readPrivateFile(keyFile);
  if (text === undefined) {
    // The first of two makers wins.
    await createPrivateFile(keyFile, `${randomBytes(KEY).toString('base64')}\n`);
    text = (await readPrivateFile(keyFile)) ?? '';
  }
  const secret = Buffer.from(text.trim(), 'base64');
  if (secret.length !== KEY) {
    throw new HeadgateError('HG2003', `the key file ${keyFile} holds ${secret.length} bytes instead of ${KEY}`, {
      remedy: `name a file that holds ${KEY} bytes in base64 with --key-file, or remove ${keyFile} to have a new key made (sealed resources are then fetched again)`,
    });
  }
  return secret;
}
