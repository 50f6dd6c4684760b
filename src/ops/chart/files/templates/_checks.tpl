{{/* What the schema cannot say: values that are right each and do not go together. */}}
{{- define "engine.check" -}}
{{- $login := .Values.ociRegistry -}}
{{- $bundle := include "engine.bundleSecret" . -}}
{{- if not $login.registry -}}
{{- fail "ociRegistry.registry must be provided: the host that image and pipeline are pulled from" -}}
{{- end -}}
{{- if not $login.existingSecret -}}
{{- if and $login.username (not $login.password) -}}
{{- fail "ociRegistry.password must be provided with ociRegistry.username: give both, an existingSecret, or neither for an open registry" -}}
{{- end -}}
{{- if and $login.password (not $login.username) -}}
{{- fail "ociRegistry.username must be provided with ociRegistry.password: give both, an existingSecret, or neither for an open registry" -}}
{{- end -}}
{{- end -}}
{{- if ne (empty $login.existingSecretKeys.username) (empty $login.existingSecretKeys.password) -}}
{{- fail "ociRegistry.existingSecretKeys needs both keys, of the user name and of the password, or none for a Secret of type kubernetes.io/dockerconfigjson" -}}
{{- end -}}
{{- /* Not in the schema, whose refusals repeat the value: a bundle has a token in it. */ -}}
{{- if not (regexMatch "^[A-Za-z0-9+/=\\s]*$" .Values.edgeBundle) -}}
{{- fail "edgeBundle is not base64: copy it again, whole and in one line" -}}
{{- end -}}
{{- if and $bundle (include "engine.several" .) -}}
{{- fail "an edge bundle is for one engine, since its token works once: set replicas to 1 and autoscaling.enabled to false, or add an edge for each engine and install the chart once with each bundle" -}}
{{- end -}}
{{- if and $bundle (not .Values.persistence.enabled) -}}
{{- fail "an edge bundle needs a persistent volume, since its token works once and the session is kept there: set persistence.enabled to true" -}}
{{- end -}}
{{- if and .Values.persistence.existingClaim (include "engine.several" .) -}}
{{- fail "one claim is for one engine: leave persistence.existingClaim out, or set replicas to 1 and autoscaling.enabled to false" -}}
{{- end -}}
{{- if .Values.autoscaling.enabled -}}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) -}}
{{- fail "autoscaling.minReplicas is more than autoscaling.maxReplicas: set it to at most that" -}}
{{- end -}}
{{- $requests := (include "engine.resources" . | fromYaml).requests | default dict -}}
{{- if and .Values.autoscaling.targetCPUUtilizationPercentage (not $requests.cpu) -}}
{{- fail "autoscaling by CPU compares with what a pod requests: set engine.resources.requests.cpu" -}}
{{- end -}}
{{- if and .Values.autoscaling.targetMemoryUtilizationPercentage (not $requests.memory) -}}
{{- fail "autoscaling by memory compares with what a pod requests: set engine.resources.requests.memory" -}}
{{- end -}}
{{- if not (or .Values.autoscaling.targetCPUUtilizationPercentage .Values.autoscaling.targetMemoryUtilizationPercentage) -}}
{{- fail "autoscaling has nothing to go by: set autoscaling.targetCPUUtilizationPercentage or targetMemoryUtilizationPercentage" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- fail "ingress.enabled needs ingress.hosts: name a host with its paths" -}}
{{- end -}}
{{- $ours := dict "PIPELINE_URL" "engine.pipelineUrl" "OCI_REGISTRY" "ociRegistry.registry" "OCI_USERNAME" "ociRegistry.username" "OCI_PASSWORD" "ociRegistry.password" "EDGE_BUNDLE" "edgeBundle" "CONFIG_CPUS" "engine.resources.limits.cpu" "DEBUG" "engine.debug" "DOCKER_CONFIG" "ociRegistry.existingSecret" "POTOROO_PERSIST" "persistence" "POTOROO_GRACE_SECONDS" "engine.graceSeconds" "POTOROO_LISTEN" "service.port" "POTOROO_TLS_CERT" "tls.existingSecret" "POTOROO_TLS_KEY" "tls.existingSecret" -}}
{{- range .Values.engine.extraEnv -}}
{{- with get $ours .name -}}
{{- fail (printf "engine.extraEnv has a variable that the chart sets itself: use the value `%s` instead" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
