import type { IngressClassManifest, IngressManifest } from '../../../lib/manifest/manifest.ts';
import { quoted } from '../../../lib/manifest/quoted.ts';
import type { Fault } from './problems.ts';

/** `spec.controller` of a class that is ours. */
const CONTROLLER = 'headgate.dev/ingress';
/** The usual class name, and the one that a folder without IngressClass objects needs no object for. */
const USUAL_CLASS = 'headgate';

const DEFAULT_CLASS = 'ingressclass.kubernetes.io/is-default-class';
const OLD_ANNOTATION = 'kubernetes.io/ingress.class';

/** Which Ingresses are ours, by the IngressClass objects there are. */
export interface IngressClasses {
  readonly byName: ReadonlyMap<string, IngressClassManifest>;
  /** Marked as default, ascending by name; the first is used. */
  readonly defaults: readonly string[];
  /** As in TranslatorOptions. */
  readonly classless: boolean;
}

export function ingressClasses(all: Iterable<IngressClassManifest>, classless: boolean): IngressClasses {
  const byName = new Map([...all].map((manifest) => [manifest.name, manifest]));
  const defaults = [...byName.values()]
    .filter(({ annotations }) => annotations.get(DEFAULT_CLASS) === 'true')
    .map(({ name }) => name)
    .sort();
  return { byName, defaults, classless };
}

export interface ClassVerdict {
  readonly ours: boolean;
  readonly faults: readonly Fault[];
}

/**
 * The Ingress API's rules: the old annotation goes before the field (IngressSpec.ingressClassName), and an
 * Ingress with neither belongs to the default class.
 */
export function classVerdict(classes: IngressClasses, { spec, annotations }: IngressManifest): ClassVerdict {
  const annotated = annotations.get(OLD_ANNOTATION);
  const named = annotated ?? spec.ingressClassName ?? undefined;
  if (named === undefined) {
    const [first] = classes.defaults;
    if (first !== undefined) return { ours: isOurs(classes, first), faults: [] };
    return { ours: classes.classless && classes.byName.size === 0, faults: [] };
  }
  // Controllers that read the old annotation need no object for their own name.
  const ours = isOurs(classes, named) || (annotated === USUAL_CLASS && !classes.byName.has(USUAL_CLASS));
  const inField = spec.ingressClassName ?? annotated;
  if (ours && annotated !== undefined && inField !== annotated) {
    const fault: Fault = {
      code: 'HG1010',
      field: 'spec.ingressClassName',
      message: `the annotation ${OLD_ANNOTATION} says ${quoted(annotated)} and goes before this field`,
      remedy: 'remove the annotation',
      severity: 'warning',
    };
    return { ours, faults: [fault] };
  }
  if (!ours && named === USUAL_CLASS && !classes.byName.has(USUAL_CLASS)) {
    const fault: Fault = {
      code: 'HG1003',
      field: 'spec.ingressClassName',
      message: `IngressClass ${quoted(named)} is not there, so nobody serves this Ingress`,
      remedy: `add an IngressClass ${USUAL_CLASS} with spec.controller ${CONTROLLER}`,
      severity: 'error',
    };
    return { ours, faults: [fault] };
  }
  return { ours, faults: [] };
}

/** What is wrong with a class itself. */
export function classFaults(classes: IngressClasses, { name, spec }: IngressClassManifest): Fault[] {
  const faults: Fault[] = [];
  const rival = defaultClassFault(classes, name);
  if (rival !== undefined) faults.push(rival);
  if (spec.controller === CONTROLLER && spec.parameters !== undefined && spec.parameters !== null) {
    faults.push({
      code: 'HG1010',
      field: 'spec.parameters',
      message: 'parameters of an IngressClass are not read',
      remedy: 'remove them, and write a policy for the Ingresses or their namespaces',
      severity: 'warning',
    });
  }
  return faults;
}

/** Several classes that claim to be the default: every one but the first by name is told. */
function defaultClassFault(classes: IngressClasses, name: string): Fault | undefined {
  const [first] = classes.defaults;
  if (first === undefined || first === name || !classes.defaults.includes(name)) return undefined;
  return {
    code: 'HG1002',
    field: `metadata.annotations[${DEFAULT_CLASS}]`,
    message: `several classes are marked as the default; ${quoted(first)} is used, the first by name`,
    remedy: 'leave the mark on one class',
    severity: 'warning',
  };
}

function isOurs(classes: IngressClasses, name: string): boolean {
  const found = classes.byName.get(name);
  if (found !== undefined) return found.spec.controller === CONTROLLER;
  return classes.classless && classes.byName.size === 0 && name === USUAL_CLASS;
}
