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

{{/* What a part's pods are called beyond it: nothing that a new version of the chart changes, which would restart them. */}}
{{- define "headgate.podLabels" -}}
{{- $labels := include "headgate.selector" . | fromYaml -}}
{{- $labels = set $labels "app.kubernetes.io/part-of" "headgate" -}}
{{- toYaml (merge $labels .podLabels .root.Values.commonLabels) -}}
{{- end -}}

{{- define "headgate.user" -}}
{{- .Values.podSecurityContext.runAsUser | default 64000 | int64 -}}
{{- end -}}

{{- define "headgate.podSecurityContext" -}}
{{- $ours := dict "runAsNonRoot" true "runAsUser" 64000 "runAsGroup" 64000 "fsGroup" 64000 -}}
{{- $_ := set $ours "fsGroupChangePolicy" "OnRootMismatch" -}}
{{- $_ := set $ours "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- toYaml (mergeOverwrite $ours .Values.podSecurityContext) -}}
{{- end -}}

{{- define "headgate.containerSecurityContext" -}}
{{- $ours := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true -}}
{{- $_ := set $ours "capabilities" (dict "drop" (list "ALL")) -}}
{{- toYaml (mergeOverwrite $ours .Values.containerSecurityContext) -}}
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

{{/*
How an agent proves who it is: by its pod's ServiceAccount. A join token is good once, so it is for the one cluster agent
alone; nodes prove themselves to that by their tokens. Called with a dict: root, token (whether by a join token).
*/}}
{{- define "headgate.joinArgs" -}}
{{- if .token }}
- --join=/run/headgate/join/token
{{- else }}
- --service-account-token=/run/headgate/token/token
- --hub-spki={{ required "cluster.hubSpki is missing: it is printed by `headgate cluster add NAME --issuer URL --jwks FILE`, and the sixth part between dots of a join token" .root.Values.cluster.hubSpki }}
{{- end }}
{{- end -}}

{{- define "headgate.joinMount" -}}
{{- if .token }}
- { name: join, mountPath: /run/headgate/join, readOnly: true }
{{- else }}
- { name: token, mountPath: /run/headgate/token, readOnly: true }
{{- end }}
{{- end -}}

{{/* Called with a dict: root, token, audience. */}}
{{- define "headgate.joinVolume" -}}
{{- if .token }}
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

{{/* namespace/name of the Service whose addresses Ingresses show; empty where it is the nodes', or addresses as given. */}}
{{- define "headgate.publishedService" -}}
{{- if not .Values.cluster.publish.addresses -}}
{{- if .Values.cluster.publish.service -}}
{{ .Values.cluster.publish.service }}
{{- else if and (eq .Values.profile "restricted") .Values.nodeAgent.service.enabled -}}
{{ .Release.Namespace }}/{{ include "headgate.fullname" . }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Who may ask for health and metrics. */}}
{{- define "headgate.opsRule" -}}
- from: {{- toYaml .Values.networkPolicy.opsFrom | nindent 4 }}
  ports: [{ port: ops }]
{{- end -}}

{{/* Names, and the API server. */}}
{{- define "headgate.egressRules" -}}
- ports: [{ port: 53, protocol: UDP }, { port: 53, protocol: TCP }]
- ports:
    {{- range .Values.networkPolicy.egress.apiServerPorts }}
    - { port: {{ . }} }
    {{- end }}
{{- end -}}
