{{/* What the objects are called. It has nothing of the pipeline's name, so that `helm upgrade` to another
pipeline's chart finds the claim with the session of this edge; and it leaves room for ten more characters. */}}
{{- define "engine.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 53 | trimAll "-." -}}
{{- end -}}

{{- define "engine.selector" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default "potoroo-engine" | trunc 63 | trimAll "-._" | quote }}
app.kubernetes.io/instance: {{ .Release.Name | trunc 63 | trimAll "-._" | quote }}
{{- end -}}

{{/* Labels that any of the objects may have; a label has 63 characters and few signs. */}}
{{- define "engine.about" -}}
app.kubernetes.io/part-of: {{ .Chart.Name | trunc 63 | trimAll "-._" | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | trunc 63 | trimAll "-._" | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimAll "-._" | quote }}
{{- end -}}

{{- define "engine.labels" -}}
{{ include "engine.selector" . }}
{{ include "engine.about" . }}
{{- end -}}

{{- define "engine.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* "yes" where pods may be several, and nothing otherwise. */}}
{{- define "engine.several" -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) }}yes{{ end -}}
{{- end -}}

{{/* The claim of a single engine, and nothing where there is none. */}}
{{- define "engine.claim" -}}
{{- if and .Values.persistence.enabled (not (include "engine.several" .)) -}}
{{- .Values.persistence.existingClaim | default (printf "%s-persist" (include "engine.fullname" .)) -}}
{{- end -}}
{{- end -}}

{{/* The Secret with the bundle, and nothing where there is no bundle. */}}
{{- define "engine.bundleSecret" -}}
{{- if .Values.edgeBundleSecret -}}
{{- .Values.edgeBundleSecret -}}
{{- else if .Values.edgeBundle -}}
{{- printf "%s-edge" (include "engine.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* "yes" where user and password are in the values, and make Secrets of this chart. */}}
{{- define "engine.ownLogin" -}}
{{- if and (not .Values.ociRegistry.existingSecret) .Values.ociRegistry.username }}yes{{ end -}}
{{- end -}}

{{/* "yes" where an existing Secret is a file of logins and not a pair of keys. */}}
{{- define "engine.loginFile" -}}
{{- if and .Values.ociRegistry.existingSecret (not .Values.ociRegistry.existingSecretKeys.username) }}yes{{ end -}}
{{- end -}}

{{/* What the image is pulled with: the login of `ociRegistry` where it can be, then what is asked for. */}}
{{- define "engine.pullSecrets" -}}
{{- $pull := .Values.imagePullSecrets -}}
{{- if include "engine.ownLogin" . -}}
{{- $pull = prepend $pull (dict "name" (printf "%s-pull" (include "engine.fullname" .))) -}}
{{- else if include "engine.loginFile" . -}}
{{- $pull = prepend $pull (dict "name" .Values.ociRegistry.existingSecret) -}}
{{- end -}}
{{- with $pull -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{- define "engine.serviceAccount" -}}
{{- $made := ternary (include "engine.fullname" .) "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $made -}}
{{- end -}}

{{/* Requests and limits: the short form wins, then the original's place for them. */}}
{{- define "engine.resources" -}}
{{- $resources := deepCopy (.Values.resources | default .Values.engine.resources) -}}
{{- range $key, $given := dict "cpu" .Values.engine.cpus "memory" .Values.engine.memory -}}
{{- if $given -}}
{{- $resources = mergeOverwrite $resources (dict "requests" (dict $key $given) "limits" (dict $key $given)) -}}
{{- end -}}
{{- end -}}
{{- $resources | toYaml -}}
{{- end -}}

{{/* Whole CPUs of a quantity, rounded up: 4, "0.5", "1500m". */}}
{{- define "engine.cpus" -}}
{{- $resources := include "engine.resources" . | fromYaml -}}
{{- $requests := $resources.requests | default dict -}}
{{- $limits := $resources.limits | default dict -}}
{{- $cpu := $limits.cpu | default $requests.cpu -}}
{{- if $cpu -}}
{{- $text := toString $cpu -}}
{{- if hasSuffix "m" $text -}}
{{- ceil (divf (float64 (trimSuffix "m" $text)) 1000) | int | max 1 -}}
{{- else -}}
{{- ceil (float64 $text) | int | max 1 -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "engine.scheme" -}}
{{- ternary "HTTPS" "HTTP" (not (empty .Values.tls.existingSecret)) -}}
{{- end -}}
