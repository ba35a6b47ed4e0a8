/** Unix milliseconds as Kubernetes' MicroTime: RFC 3339 with six digits after the second. */
export function microTime(wall: number): string {
  return new Date(wall).toISOString().replace('Z', '000Z');
}
