{{- define "headgate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "headgate.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "headgate.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels of every object. Called with a dict: root, component. */}}
{{- define "headgate.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: headgate
{{ include "headgate.selector" . }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What never changes of a part's labels. */}}
{{- define "headgate.selector" -}}
app.kubernetes.io/name: {{ include "headgate.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "headgate.image" -}}
{{- $image := .Values.image -}}
{{- $repository := $image.repository -}}
{{- if $image.registry -}}{{- $repository = printf "%s/%s" $image.registry $image.repository -}}{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Name of a part's ServiceAccount. Called with a dict: root, component, account. */}}
{{- define "headgate.serviceAccount" -}}
{{- if .account.create -}}
{{- default (printf "%s-%s" (include "headgate.fullname" .root) .component) .account.name -}}
{{- else -}}
{{- default "default" .account.name -}}
{{- end -}}
{{- end -}}

{{- define "headgate.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 64000
runAsGroup: 64000
fsGroup: 64000
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- with .Values.podSecurityContext }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "headgate.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- with .Values.containerSecurityContext }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What every part's pod may be given: where it runs. Called with the part's values. */}}
{{- define "headgate.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "headgate.agentEnabled" -}}
{{- if .Values.cluster.name -}}yes{{- else if or .Values.clusterAgent.enabled .Values.nodeAgent.enabled -}}
{{- if not .Values.hub.enabled -}}{{- fail "cluster.name is missing: give the name from `headgate cluster add NAME`" -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* How an agent proves who it is. */}}
{{- define "headgate.joinArgs" -}}
{{- if .Values.cluster.joinTokenSecret }}
- --join=/run/headgate/join/token
{{- else }}
- --service-account-token=/run/headgate/token/token
- --hub-spki={{ required "cluster.hubSpki is missing: it is printed by `headgate cluster add NAME --issuer URL --jwks FILE`; or give cluster.joinTokenSecret" .Values.cluster.hubSpki }}
{{- end }}
{{- end -}}

{{- define "headgate.joinMount" -}}
{{- if .Values.cluster.joinTokenSecret }}
- { name: join, mountPath: /run/headgate/join, readOnly: true }
{{- else }}
- { name: token, mountPath: /run/headgate/token, readOnly: true }
{{- end }}
{{- end -}}

{{/* Called with a dict: root, audience. */}}
{{- define "headgate.joinVolume" -}}
{{- if .root.Values.cluster.joinTokenSecret }}
- name: join
  secret: { secretName: {{ .root.Values.cluster.joinTokenSecret }}, defaultMode: 0440 }
{{- else }}
- name: token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: { path: token, audience: {{ .audience }}, expirationSeconds: 600 }
{{- end }}
{{- end -}}
