{{/* Prefix of all names. It has no dots, because the names of Services cannot have any. */}}
{{- define "pgimport.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if not (contains $name .Release.Name) -}}
{{- $name = printf "%s-%s" .Release.Name $name -}}
{{- else -}}
{{- $name = .Release.Name -}}
{{- end -}}
{{- default $name .Values.fullnameOverride | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "pgimport.operator" -}}{{ include "pgimport.fullname" . }}-operator{{- end -}}
{{- define "pgimport.server" -}}{{ include "pgimport.fullname" . }}-server{{- end -}}
{{- define "pgimport.adminSecret" -}}{{ include "pgimport.server" . }}-admin{{- end -}}
{{- define "pgimport.adminUser" -}}pgimport_admin{{- end -}}
{{- define "pgimport.tenantRole" -}}{{ include "pgimport.fullname" . }}-tenant{{- end -}}
{{- define "pgimport.networkPolicy" -}}{{ include "pgimport.fullname" . }}-imports{{- end -}}
{{- define "pgimport.api" -}}{{ include "pgimport.fullname" . }}-api{{- end -}}
{{- define "pgimport.apiTenantRole" -}}{{ include "pgimport.fullname" . }}-api-tenant{{- end -}}
{{- define "pgimport.connectionReader" -}}{{ include "pgimport.api" . }}-connections{{- end -}}
{{- define "pgimport.initialKey" -}}{{ include "pgimport.fullname" . }}-initial-key{{- end -}}
{{- define "pgimport.outbox" -}}{{ include "pgimport.fullname" . }}-webhook-outbox{{- end -}}
{{- define "pgimport.release" -}}{{ include "pgimport.fullname" . }}-release{{- end -}}
{{- define "pgimport.project" -}}{{ include "pgimport.fullname" . }}-project{{- end -}}
{{- define "pgimport.test" -}}{{ include "pgimport.fullname" . }}-test{{- end -}}

{{- define "pgimport.serviceAccount" -}}
{{- default (include "pgimport.operator" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "pgimport.apiServiceAccount" -}}
{{- default (include "pgimport.api" .) .Values.api.serviceAccount.name -}}
{{- end -}}

{{/* Names of the RoleBindings that the operator creates in the namespaces of Projects, as a JSON array. */}}
{{- define "pgimport.bindings" -}}
{{- list (include "pgimport.operator" .) (include "pgimport.api" .) (include "pgimport.connectionReader" .) | toJson -}}
{{- end -}}

{{- define "pgimport.image" -}}
{{- with .Values.image.registry }}{{ . }}/{{ end -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- with .Values.image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* Labels that select pods, which are the same in every release. Arguments: the root context and the component. */}}
{{- define "pgimport.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of an object, each key once. Arguments: the root context, the component, and `more`, which takes precedence
over commonLabels. */}}
{{- define "pgimport.labels" -}}
{{- $own := dict
    "app.kubernetes.io/version" .root.Chart.AppVersion
    "app.kubernetes.io/managed-by" .root.Release.Service
    "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") -}}
{{- $selector := include "pgimport.selector" . | fromYaml -}}
{{- merge $selector $own (default dict .more) (default dict .root.Values.commonLabels) | toYaml -}}
{{- end -}}

{{/* Environment variables of the upload store for the operator and the API; empty without a store. */}}
{{- define "pgimport.uploads" -}}
{{- with .Values.uploads -}}
{{- if .enabled -}}
{{- $secret := required "uploads.credentialsSecret: set the Secret with the store's credentials" .credentialsSecret -}}
{{- $settings := dict
    "store" "s3"
    "endpoint" (required "uploads.endpoint: set the URL of the store" .endpoint)
    "bucket" (required "uploads.bucket: set the bucket for uploads" .bucket)
    "region" .region "pathStyle" .pathStyle "maxBytes" (int64 .maxBytes) "expiry" .expiry "retention" .retention -}}
- name: PGIMPORT_UPLOADS
  value: {{ $settings | toJson | quote }}
{{- range $name := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret | quote }}
      key: {{ $name }}
{{- end }}
{{- end -}}
{{- end -}}
{{- if include "pgimport.embeddedUploads" . -}}
{{- $settings := dict
    "store" "embedded"
    "endpoint" (printf "http://%s.%s.svc" (include "pgimport.api" .) .Release.Namespace)
    "folder" "/var/lib/pgimport" "capacity" .Values.uploads.embedded.storage.size
    "projectPercent" (int64 .Values.uploads.embedded.projectPercent)
    "maxBytes" (int64 .Values.uploads.maxBytes) "expiry" .Values.uploads.expiry
    "retention" .Values.uploads.retention -}}
- name: PGIMPORT_UPLOADS
  value: {{ $settings | toJson | quote }}
- name: PGIMPORT_UPLOADS_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ include "pgimport.signingSecret" . | quote }}
      key: uploads
{{- end -}}
{{- end -}}

{{/* `true` if the API stores uploads in its own volume. */}}
{{- define "pgimport.embeddedUploads" -}}
{{- $uploads := .Values.uploads -}}
{{- if and .Values.api.enabled $uploads.embedded.enabled (not $uploads.enabled) -}}
{{- if gt (int .Values.api.replicas) 1 -}}
{{- fail "api.replicas: uploads are in a volume of one pod. For more replicas, set uploads.enabled with an S3-compatible store, or uploads.embedded.enabled=false" -}}
{{- end -}}
true
{{- end -}}
{{- end -}}

{{/* The Secret with the keys that sign tokens and URLs of uploads. */}}
{{- define "pgimport.signingSecret" -}}{{ default (include "pgimport.api" .) .Values.api.signingKeys.existingSecret }}{{- end -}}

{{- define "pgimport.uploadsClaim" -}}{{ include "pgimport.api" . }}-uploads{{- end -}}

{{/* Security context of a pod for the standard `restricted`. Arguments: the root context and the user id. */}}
{{- define "pgimport.podSecurity" -}}
runAsNonRoot: true
{{- if .root.Values.security.setUser }}
runAsUser: {{ .user }}
runAsGroup: {{ .user }}
fsGroup: {{ .user }}
{{- end }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Labels and annotations of a pod. Arguments: the root context, the component and its values. */}}
{{- define "pgimport.podMetadata" -}}
labels:
  {{- include "pgimport.labels" (dict "root" .root "component" .component "more" .values.podLabels) | nindent 2 }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Environment variables of a container, each name once. Arguments: `own` of the chart as YAML, `extra` of the admin, and
the name of the value with these. */}}
{{- define "pgimport.environment" -}}
{{- $names := list -}}
{{- range .own | fromYamlArray -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- range .extra -}}
{{- if has .name $names -}}
{{- fail (printf "%s: %s is set twice. If the chart sets it, use the value that it comes from" $.value .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{ .own }}
{{- with .extra }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where pods run. Arguments: the values of the component. */}}
{{- define "pgimport.placement" -}}
{{- with .values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .values.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where the pods of hooks and tests run: where the operator does. */}}
{{- define "pgimport.hookPlacement" -}}
{{- include "pgimport.placement" (dict "values" (omit .Values.operator "topologySpreadConstraints")) -}}
{{- end -}}

{{/* IP families of a Service. */}}
{{- define "pgimport.ipFamilies" -}}
{{- with .Values.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.ipFamilies }}
ipFamilies: {{ toJson . }}
{{- end }}
{{- end -}}

{{- define "pgimport.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Resources of the pods of hooks and tests. */}}
{{- define "pgimport.smallResources" -}}
requests:
  cpu: 50m
  memory: 64Mi
limits:
  memory: 256Mi
{{- end -}}

{{- define "pgimport.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The Project of the embedded server. */}}
{{- define "pgimport.projectManifest" -}}
{{- $project := .Values.embeddedServer.project -}}
apiVersion: capydb.dev/v1alpha1
kind: Project
metadata:
  name: {{ $project.name | quote }}
spec:
  organizationID: {{ $project.organizationID | quote }}
  namespace: {{ $project.namespace | quote }}
  server:
    clusterID: embedded
    host: {{ include "pgimport.server" . }}.{{ .Release.Namespace }}.svc
    port: 5432
    adminSecretRef:
      name: {{ include "pgimport.adminSecret" . }}
    # The connection stays in the cluster's network. SCRAM proves the password without sending it.
    sslmode: disable
  {{- if kindIs "string" $project.storageLimitBytes }}
  storageLimitBytes: {{ $project.storageLimitBytes | quote }}
  {{- else if not (kindIs "invalid" $project.storageLimitBytes) }}
  storageLimitBytes: {{ int64 $project.storageLimitBytes }}
  {{- end }}
  {{- if not (kindIs "invalid" $project.allowedExtensions) }}
  allowedExtensions: {{ toJson $project.allowedExtensions }}
  {{- end }}
  {{- with $project.sources }}
  sources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $project.limits }}
  limits:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
