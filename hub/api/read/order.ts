/** Orders by the given parts, one after the other; code units, so that every machine agrees. */
export function byParts<T>(...parts: readonly ((item: T) => string)[]): (a: T, b: T) => number {
  return (a, b) => {
    for (const part of parts) {
      const [x, y] = [part(a), part(b)];
      if (x !== y) return x < y ? -1 : 1;
    }
    return 0;
  };
}
