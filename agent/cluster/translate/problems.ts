import type { Code, HeadgateError } from '../../../lib/errors.ts';
import { placeOf, placeText, type Manifest, type ObjectRef } from '../../../lib/manifest/manifest.ts';
import { Severity, type Problem } from '../../../proto/gen/headgate/v1/reported.ts';

export interface Fault {
  readonly code: Code;
  /** Path in the object; empty where it is about the whole of it. */
  readonly field: string;
  readonly message: string;
  readonly remedy: string;
  readonly severity: 'warning' | 'error';
}

/** A fault of an object, with the place of its field. */
export function problemOf(manifest: Manifest, fault: Fault): Problem {
  return {
    code: fault.code,
    kind: manifest.kind,
    namespace: manifest.namespace,
    name: manifest.name,
    field: fault.field,
    message: fault.message,
    remedy: fault.remedy,
    place: placeText(placeOf(manifest, fault.field)),
    severity: fault.severity === 'error' ? Severity.ERROR : Severity.WARNING,
  };
}

/** An error met before there was an object, for example in a file that does not parse. */
export function problemOfError(error: HeadgateError, ref: ObjectRef): Problem {
  return {
    code: error.code,
    kind: ref.kind,
    namespace: ref.namespace,
    name: ref.name,
    field: error.field ?? '',
    message: error.message,
    remedy: error.remedy ?? '',
    place: error.place ?? '',
    severity: Severity.ERROR,
  };
}

/** `<code>/<kind>/<namespace>/<name>`, with `#<field>` where it is about one; '-' stands for no namespace. */
export function problemName({ code, kind, namespace, name, field }: Problem): string {
  return `${code}/${kind}/${namespace === '' ? '-' : namespace}/${name}${field === '' ? '' : `#${field}`}`;
}
