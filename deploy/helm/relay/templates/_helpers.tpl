{{/* The name of every object: that of the release, which contains "relay" or gets it. */}}
{{- define "relay.name" -}}
{{- if contains "relay" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-relay" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The labels by which Pods are found. They can never change. */}}
{{- define "relay.selector" -}}
app.kubernetes.io/name: relay
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "relay.labels" -}}
{{ include "relay.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The settings in force, as YAML: those of the chart, and over them those of the values. */}}
{{- define "relay.settings" -}}
{{- $own := dict "RELAY_ADMIN_PORT" "9090" -}}
{{- if .Values.ingress.enabled -}}
{{- $scheme := ternary "https" "http" (ne .Values.ingress.tlsSecretName "") -}}
{{- $_ := set $own "RELAY_PUBLIC_URL" (printf "%s://%s" $scheme .Values.ingress.host) -}}
{{- end -}}
{{- if .Values.mapping -}}
{{- $_ := set $own "RELAY_MAPPING" "/etc/relay/mapping.toml" -}}
{{- end -}}
{{- merge (dict) (default dict .Values.settings) $own | toYaml -}}
{{- end -}}

{{/* The value of a setting as a string. Helm reads numbers as floats, and writes large ones as 2.68e+08. */}}
{{- define "relay.value" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{/* How many seconds a Pod has to end: RELAY_DRAIN_MS, the 3 s of preStop, the 10 s after which the parent of workers
kills one that has not ended, and 12 s to spare. */}}
{{- define "relay.grace" -}}
{{- $drain := 5000 -}}
{{- if hasKey (default dict .Values.settings) "RELAY_DRAIN_MS" -}}
{{- $drain = int .Values.settings.RELAY_DRAIN_MS -}}
{{- end -}}
{{- add 25 (div (add $drain 999) 1000) -}}
{{- end -}}
