import type { StructuralSchema } from './structural-schema.ts';

const text = (description: string, maxLength: number): StructuralSchema => ({ type: 'string', description, maxLength });

/** The same for every kind: conditions as the Kubernetes API defines them (metav1.Condition), and the fleet's view. */
export const statusSchema: StructuralSchema = {
  type: 'object',
  description: 'What became of the object. Written by Headgate.',
  properties: {
    observedGeneration: {
      type: 'integer',
      format: 'int64',
      description: 'metadata.generation that the status speaks of.',
    },
    fleet: text('What the whole fleet makes of the object, in one sentence; the whole is at the hub.', 1024),
    conditions: {
      type: 'array',
      description: 'Accepted: the object is valid and its targets exist. Programmed: it is in force.',
      maxItems: 8,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: {
        type: 'object',
        required: ['lastTransitionTime', 'message', 'reason', 'status', 'type'],
        properties: {
          type: { ...text('Accepted or Programmed.', 316), pattern: '^[A-Za-z]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$' },
          status: { type: 'string', enum: ['True', 'False', 'Unknown'], description: 'True, False or Unknown.' },
          reason: {
            ...text('One word for programs, for example TargetNotFound.', 1024),
            minLength: 1,
            pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$',
          },
          message: text('For people: what is wrong and how to mend it.', 32_768),
          observedGeneration: {
            type: 'integer',
            format: 'int64',
            minimum: 0,
            description: 'metadata.generation that the condition speaks of.',
          },
          lastTransitionTime: { type: 'string', format: 'date-time', description: 'When status last changed.' },
        },
      },
    },
  },
};
