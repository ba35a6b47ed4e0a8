import type { RolldownOptions } from 'rolldown';

/**
 * What a package or an image holds of the program: `bin/headgate` runs `dist/headgate.mjs` where there are no sources
 * beside it. Nothing is left to strip, and nothing to look up in `node_modules`.
 */
const config = {
  input: {
    headgate: 'cli/main.ts',
    backends: 'cli/demo/backends.ts',
    'haproxy-alive': 'deploy/image/haproxy-alive.ts',
    'haproxy-drain': 'deploy/image/haproxy-drain.ts',
  },
  platform: 'node',
  // grpc-js loads it for channelz alone, which is off.
  external: ['@grpc/proto-loader'],
  output: {
    dir: 'dist',
    cleanDir: true,
    format: 'esm',
    entryFileNames: '[name].mjs',
    chunkFileNames: '[name].mjs',
    // Each library apart: a command loads those that it uses, and one letter beyond ASCII doubles but its own file.
    codeSplitting: { groups: [{ debugName: 'libraries', test: /node_modules/, name: libraryName }] },
    // V8 keeps the text of what it runs. Names stay: they are what a stack without a map shows.
    minify: { compress: true, mangle: false, codegen: { removeWhitespace: true } },
    // For whoever asks Node for them: they cost memory, and no message of the program holds a stack.
    sourcemap: true,
    sourcemapExcludeSources: true,
  },
} satisfies RolldownOptions;

function libraryName(file: string): string | undefined {
  return /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1]?.replace(/^@/, '').replace('/', '-');
}

export default config;
