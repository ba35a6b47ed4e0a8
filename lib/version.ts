import manifest from '../package.json' with { type: 'json' };

/** Version of this program, as the package says it. */
export const VERSION: string = manifest.version;
