import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto';
import { HeadgateError } from '../../lib/errors.ts';
import { createPrivateFile, readPrivateFile } from '../../lib/identity/private-file.ts';

const algorithm = 'aes-256-gcm';
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const idBytes = 8;
const wrappedBytes = nonceBytes + keyBytes + tagBytes;
const version = 1;

/**
 * Seals what the store must not show: a data key per secret, sealed by one key-encryption key that never
 * enters the store. Layout: version (1 byte), key id (8), nonce + data key + tag, nonce + secret + tag.
 */
export class KeyEncryptionKey {
  readonly #key: Buffer;
  readonly #id: Buffer;

  private constructor(key: Buffer) {
    this.#key = key;
    this.#id = hash('sha256', key, 'buffer').subarray(0, idBytes);
  }

  /** Reads the key from `file`, 32 bytes in base64. Throws HG2003 when it is not there. */
  static async read(file: string): Promise<KeyEncryptionKey> {
    const text = await readPrivateFile(file);
    if (text === undefined) {
      throw new HeadgateError('HG2003', `the key-encryption key '${file}' is missing`, {
        remedy: 'bring back the file that the keys in the store are sealed with; for a new fleet on etcd make one',
      });
    }
    const key = Buffer.from(text.trim(), 'base64');
    if (key.length !== keyBytes) {
      throw new HeadgateError('HG2003', `the key-encryption key '${file}' is not ${keyBytes} bytes in base64`, {
        remedy: 'bring the file back from a backup',
      });
    }
    return new KeyEncryptionKey(key);
  }

  /** As `read`, but makes the key, 0600, where there is none yet. */
  static async readOrCreate(file: string): Promise<KeyEncryptionKey> {
    await createPrivateFile(file, `${randomBytes(keyBytes).toString('base64')}\n`);
    return KeyEncryptionKey.read(file);
  }

  /** @param place where it will be kept (the store's key): a sealed value moved elsewhere does not open. */
  seal(secret: Uint8Array, place: string): Buffer {
    const dataKey = randomBytes(keyBytes);
    const header = Buffer.concat([Buffer.of(version), this.#id]);
    const bound = Buffer.concat([header, Buffer.from(place)]);
    return Buffer.concat([header, encrypt(this.#key, dataKey, bound), encrypt(dataKey, secret, bound)]);
  }

  /** Throws HG4003 when the value was sealed by another key, for another place, or is damaged. */
  unseal(sealed: Uint8Array, place: string): Buffer {
    const bytes = Buffer.from(sealed);
    const header = bytes.subarray(0, 1 + idBytes);
    if (header[0] !== version || !header.subarray(1).equals(this.#id)) {
      throw new HeadgateError('HG4003', `'${place}' was sealed with another key-encryption key`, {
        remedy: 'give every hub of the fleet the same kek file',
      });
    }
    const bound = Buffer.concat([header, Buffer.from(place)]);
    const secretAt = header.length + wrappedBytes;
    try {
      const dataKey = decrypt(this.#key, bytes.subarray(header.length, secretAt), bound);
      return decrypt(dataKey, bytes.subarray(secretAt), bound);
    } catch (cause) {
      throw new HeadgateError('HG4003', `'${place}' is damaged: its seal is broken`, { cause });
    }
  }
}

function encrypt(key: Uint8Array, plain: Uint8Array, bound: Uint8Array): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, key, nonce).setAAD(bound);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Uint8Array, sealed: Uint8Array, bound: Uint8Array): Buffer {
  const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, nonceBytes), { authTagLength: tagBytes });
  decipher.setAAD(bound).setAuthTag(sealed.subarray(-tagBytes));
  return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]);
}
