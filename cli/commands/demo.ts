export interface DemoFlags {
  readonly clusters: string;
  readonly data?: string;
  readonly plain?: true;
  readonly script?: true;
  readonly sabotage?: string;
  readonly keep?: true;
}

export async function demo(flags: DemoFlags): Promise<void> {
  const { runDemo } = await import('../../demo/main.ts');
  await runDemo(flags);
}
