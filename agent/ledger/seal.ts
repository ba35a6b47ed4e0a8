import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { chmod, link, mkdir, open, readFile, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HeadgateError } from '../../lib/errors.ts';
import type { ResourceKey } from '../../lib/sync/index.ts';
import { hasCode } from './disk-error.ts';

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

export function sealer(secret: Uint8Array): Sealer {
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
  const remedy = `name a readable file that holds 32 bytes in base64 with --key-file, or remove ${keyFile} to have a new key made (sealed resources are then fetched again)`;
  try {
    const secret = (await readKey(keyFile)) ?? (await makeKey(keyFile));
    if (secret.length === KEY) return secret;
    throw new HeadgateError('HG2003', `the key file ${keyFile} holds ${secret.length} bytes instead of ${KEY}`, {
      remedy,
    });
  } catch (error) {
    if (error instanceof HeadgateError) throw error;
    throw new HeadgateError('HG2003', `the key file ${keyFile} cannot be used: ${String(error)}`, {
      remedy,
      cause: error,
    });
  }
}

async function readKey(keyFile: string): Promise<Buffer | undefined> {
  try {
    const secret = Buffer.from((await readFile(keyFile, 'utf8')).trim(), 'base64');
    if (((await stat(keyFile)).mode & 0o077) !== 0) await chmod(keyFile, 0o600);
    return secret;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** A whole key appears at once, and the first of two makers wins. */
async function makeKey(keyFile: string): Promise<Buffer> {
  await mkdir(dirname(keyFile), { recursive: true, mode: 0o700 });
  const draft = `${keyFile}.${process.pid}`;
  await using file = await open(draft, 'w', 0o600);
  try {
    const secret = randomBytes(KEY);
    await file.writeFile(`${secret.toString('base64')}\n`);
    await file.sync();
    await link(draft, keyFile);
    return secret;
  } catch (error) {
    const other = hasCode(error, 'EEXIST') ? await readKey(keyFile) : undefined;
    if (other === undefined) throw error;
    return other;
  } finally {
    await unlink(draft);
  }
}
