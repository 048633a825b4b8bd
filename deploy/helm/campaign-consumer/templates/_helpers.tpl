{{/* Names. */}}
{{- define "campaign.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "campaign.fullname" -}}
{{- $name := include "campaign.name" . -}}
{{- $both := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- /* 52: a StatefulSet's pods add an ordinal and a hash, and a label takes 63 */ -}}
{{- default $both .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "campaign.serviceAccountName" -}}
{{- $own := ternary (include "campaign.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $own .Values.serviceAccount.name -}}
{{- end -}}

{{/* Labels. Those of a selector never change: Kubernetes refuses that. */}}
{{- define "campaign.selector" -}}
app.kubernetes.io/name: {{ include "campaign.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "campaign.labels" -}}
{{ include "campaign.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "campaign.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Settings as environment variables: `dict "settings" MAP "above" "CAMPAIGN"`. Without a value, the service's default holds. */}}
{{- define "campaign.settings" -}}
{{- $above := .above -}}
{{- range $name, $value := .settings }}
{{- $path := printf "%s%s" $above (upper $name) -}}
{{- if kindIs "map" $value }}
{{- include "campaign.settings" (dict "settings" $value "above" (printf "%s__" $path)) }}
{{- else if not (kindIs "invalid" $value) }}
- name: {{ $path }}
  value: {{ ternary $value (toJson $value) (kindIs "string" $value) | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The whole environment of a container. The pod's name is its membership only where it keeps it. */}}
{{- define "campaign.env" -}}
{{- $_ := required "config.kafka.bootstrap_servers: name the brokers, as host:port" (.Values.config.kafka.bootstrap_servers | default "") -}}
{{- $_ := required "config.api.url: set the platform's whole endpoint URL" .Values.config.api.url -}}
{{- include "campaign.settings" (dict "settings" .Values.config "above" "CAMPAIGN_") | trim }}
- name: CAMPAIGN_SECRETS_DIR
  value: /run/secrets/campaign-consumer
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What every pod has in common: nothing of the cluster, no right, no file to write. */}}
{{- define "campaign.pod" -}}
automountServiceAccountToken: false
# A Service that is called campaign-... would put CAMPAIGN_..._SERVICE_HOST into the pod, which is no setting and stops the start.
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "campaign.container" -}}
image: {{ include "campaign.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
volumeMounts:
  - name: secrets
    mountPath: /run/secrets/campaign-consumer
    readOnly: true
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* `list . NAME`: the volumes, with the Secret of that name. */}}
{{- define "campaign.volumes" -}}
{{- $root := index . 0 -}}
- name: secrets
  secret:
    secretName: {{ required "secretName: name a Secret with the key campaign_api__server_key" (index . 1) }}
    defaultMode: 0440
{{- with $root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A duration as config/durations.py reads it, in whole seconds, rounded up. */}}
{{- define "campaign.seconds" -}}
{{- $text := . | toString | nospace -}}
{{- $number := regexFind "^[0-9]+([.][0-9]+)?" $text | float64 -}}
{{- $unit := regexFind "[a-z]*$" $text | default "s" -}}
{{- $milliseconds := mulf $number (get (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000) $unit) -}}
{{- divf $milliseconds 1000 | ceil | int64 -}}
{{- end -}}

{{/* The ports that a NetworkPolicy lets out to, as a JSON list. */}}
{{- define "campaign.kafkaPorts" -}}
{{- $ports := .Values.networkPolicy.kafka.ports -}}
{{- if not $ports -}}
{{- $brokers := .Values.config.kafka.bootstrap_servers -}}
{{- if kindIs "string" $brokers -}}{{- $brokers = splitList "," $brokers -}}{{- end -}}
{{- range $brokers -}}{{- $ports = append $ports (regexFind "[0-9]+$" (trim .) | int) -}}{{- end -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{- define "campaign.platformPorts" -}}
{{- $ports := .Values.networkPolicy.platform.ports -}}
{{- if not $ports -}}
{{- $url := urlParse .Values.config.api.url -}}
{{- $named := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $ports = list (default (ternary 80 443 (eq $url.scheme "http")) $named | int) -}}
{{- end -}}
{{- $ports | toJson -}}
{{- end -}}

{{/* Instances at most: what is asked for, but never more than partitions. */}}
{{- define "campaign.maxReplicas" -}}
{{- min (default .Values.partitions .Values.autoscaling.maxReplicas) .Values.partitions -}}
{{- end -}}

{{/* `list . TEXT`: rules or a dashboard, whose links to the runbook lead where people read it. */}}
{{- define "campaign.withRunbook" -}}
{{- $prefix := "https://runbooks.example.com/campaign-consumer" -}}
{{- index . 1 | replace $prefix (default $prefix (index . 0).Values.runbookUrl) -}}
{{- end -}}
