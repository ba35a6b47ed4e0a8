import { HeadgateError } from '../../../lib/errors.ts';
import { type Manifest, type ObjectRef, type PolicyManifest, objectTitle } from '../../../lib/manifest/manifest.ts';
import { parseManifests } from '../../../lib/manifest/parse.ts';
import { API_VERSION, policyKinds } from '../../../lib/policy/schemas.ts';
import type { Caller } from '../caller.ts';
import { errorBody } from '../server.ts';
import type { ApplyResponse, ApplyResult, ManifestsRequest } from '../types.ts';
import type { PolicyChange, PolicyWriter } from './policy-writer.ts';

/** Bytes of manifests in one request. */
export const MAX_MANIFESTS = 4 * 1024 * 1024;

/** Writes every Headgate object of a text, each on its own: one that is wrong stops no other. */
export async function applyManifests(
  writer: Pick<PolicyWriter, 'change'>,
  caller: Caller,
  { manifests, source, dryRun = false }: ManifestsRequest,
): Promise<ApplyResponse> {
  const { documents, errors } = parseManifests(manifests, source ?? 'request');
  const results: ApplyResult[] = [];
  for (const document of documents) {
    results.push(
      await attempt(document, async () => {
        const spec: unknown = JSON.parse(hubPolicy(document).specJson);
        return await writer.change(caller, refOf(document), () => spec, { dryRun });
      }),
    );
  }
  for (const { error, ref } of errors) results.push(failed(ref, error));
  return { results: nonEmpty(results, source) };
}

/** Deletes what a text names; its specs need not be right. */
export async function deleteManifests(
  writer: PolicyWriter,
  caller: Caller,
  { manifests, source, dryRun = false }: ManifestsRequest,
): Promise<ApplyResponse> {
  const { documents, errors } = parseManifests(manifests, source ?? 'request');
  const results: ApplyResult[] = [];
  for (const { error, ref } of errors) if (ref === undefined) results.push(failed(ref, error));
  const named = new Map<string, ObjectRef>();
  for (const ref of [...documents.map(refOf), ...errors.flatMap((one) => one.ref ?? [])])
    named.set(objectTitle(ref), ref);
  for (const ref of named.values()) {
    results.push(
      await attempt(ref, async () => {
        requireHubKind(ref);
        const change = await writer.change(caller, ref, () => undefined, { dryRun });
        if (change.action !== 'unchanged') return change;
        throw new HeadgateError('HG2007', 'is not there', {
          object: objectTitle(ref),
          remedy: 'see headgate get policies',
        });
      }),
    );
  }
  return { results: nonEmpty(results, source) };
}

function hubPolicy(document: Manifest): PolicyManifest {
  requireHubKind(document);
  if ('specJson' in document) return document;
  throw new HeadgateError('HG9001', `${document.kind} has no spec as written`);
}

/** @throws HeadgateError HG1002 for what belongs into a cluster */
function requireHubKind(ref: ObjectRef): void {
  if (Object.hasOwn(policyKinds, ref.kind)) return;
  throw new HeadgateError('HG1002', `${ref.kind} is not kept at the hub`, {
    object: objectTitle(ref),
    field: 'kind',
    remedy: 'put it into its cluster or the folder of its cluster',
  });
}

function refOf({ kind, namespace, name }: ObjectRef): ObjectRef {
  return { kind, namespace, name };
}

async function attempt(ref: ObjectRef, change: () => Promise<PolicyChange>): Promise<ApplyResult> {
  try {
    const { action, revision, before, after } = await change();
    return {
      object: objectTitle(ref),
      action,
      revision: revision?.toString() ?? null,
      error: null,
      before: before === undefined ? null : manifestOf(ref, before),
      after: after === undefined ? null : manifestOf(ref, after),
    };
  } catch (thrown) {
    return failed(ref, HeadgateError.from(thrown));
  }
}

function failed(ref: ObjectRef | undefined, error: HeadgateError): ApplyResult {
  const object = ref === undefined ? (error.object ?? '') : objectTitle(ref);
  return { object, action: 'failed', revision: null, error: errorBody(error), before: null, after: null };
}

function manifestOf({ kind, namespace, name }: ObjectRef, spec: unknown): unknown {
  return { apiVersion: API_VERSION, kind, metadata: { ...(namespace === '' ? {} : { namespace }), name }, spec };
}

/** A text without anything for the hub is a mistake, not a success. */
function nonEmpty(results: readonly ApplyResult[], source: string | undefined): readonly ApplyResult[] {
  if (results.length > 0) return results;
  throw new HeadgateError('HG1002', `${source ?? 'the request'} holds no object of ${API_VERSION}`, {
    remedy: `write objects of kind ${Object.keys(policyKinds).join(', ')}`,
  });
}
