import type { Slot } from '../model/desired.ts';
import type { Observed } from './observe.ts';

/** Whether only a part of a slot's servers may be out for outliers, which HAProxy does not know of. */
export function hasFloor({ backend, settings: { outlier } }: Slot): boolean {
  return backend !== undefined && outlier !== undefined && outlier.maxEjectedPercent % 100 > 0;
}

/** Servers that outliers took out beyond what the slot's settings allow. */
export function ejectedTooMany(
  slots: readonly Slot[],
  servers: Observed['servers'],
): { readonly backend: string; readonly name: string }[] {
  return slots.filter(hasFloor).flatMap(({ name: backend, settings, servers: wanted }) => {
    const ready = [...wanted.values()].filter(({ state }) => state === 'ready');
    const allowed = Math.floor((ready.length * (settings.outlier?.maxEjectedPercent ?? 0)) / 100);
    const ejected = ready.filter(({ name }) => servers.get(backend)?.get(name)?.ejected === true);
    return ejected.slice(allowed).map(({ name }) => ({ backend, name }));
  });
}
