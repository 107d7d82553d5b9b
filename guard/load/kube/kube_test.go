package kube_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/kube"
)

// at is a place with its text, the first line of it.
func at(source string, l guard.Location) string {
	start, ok := guard.Offset([]byte(source), l.Line, l.Column)
	end, okEnd := guard.Offset([]byte(source), l.EndLine, l.EndColumn)
	if !ok || !okEnd || end < start {
		return fmt.Sprintf("%+v is no range", l)
	}
	text, _, more := strings.Cut(source[start:end], "\n")
	if more {
		text += "…"
	}
	return fmt.Sprintf("%d:%d %s", l.Line, l.Column, text)
}

// describe writes what is known of a subject, with places.
func describe(source string, s *guard.Subject) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)\n", s.Name, at(source, s.Where))
	fmt.Fprintf(&b, "  user %q %s:%s (%s)", s.User.Spec, s.User.UID, s.User.GID, at(source, s.User.Where))
	if s.User.Unknown != "" {
		fmt.Fprintf(&b, " %s", s.User.Unknown)
	}
	b.WriteString("\n")
	if s.Command.Args != nil {
		fmt.Fprintf(&b, "  command %q shell=%v (%s)\n", s.Command.Args, s.Command.Shell, at(source, s.Command.Where))
	}
	for _, p := range s.Ports {
		fmt.Fprintf(&b, "  port %d/%s (%s)\n", p.Number, p.Protocol, at(source, p.Where))
	}
	for _, v := range s.Variables {
		fmt.Fprintf(&b, "  variable %s=%s (%s)\n", v.Name, v.Value, at(source, v.Where))
	}
	for _, g := range s.Grants {
		fmt.Fprintf(&b, "  %s %s (%s)\n", g.Kind, g.Value, at(source, g.Where))
	}
	if s.RunAsNonRoot != nil {
		fmt.Fprintf(&b, "  nonroot (%s)\n", at(source, s.RunAsNonRoot.Where))
	}
	return b.String()
}

func load(t *testing.T, source string) []*guard.Subject {
	t.Helper()
	subjects, err := kube.Load(t.Context(), guard.Source{Path: "f.yaml", Data: []byte(source)}, guard.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return subjects
}

const notLooked = " image a is not known: nobody looks for images"

// pod is a pod with fields of its spec and of its only container.
func pod(spec, container string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n" + spec + "  containers:\n  - name: c\n    image: a\n" + container
}

func TestSubjects(t *testing.T) {
	header := func(line int) string {
		return fmt.Sprintf("Pod p, container c (%d:5 name: c)\n", line)
	}
	unknownUser := func(line int) string {
		return fmt.Sprintf("  user \"\" unknown:unknown (%d:12 a)%s\n", line, notLooked)
	}
	tests := map[string]struct{ source, want string }{
		"nothing said": {pod("", ""), header(6) + unknownUser(7)},
		"container before pod": {
			pod("  securityContext: {runAsUser: 5, runAsGroup: 6, runAsNonRoot: true}\n", "    securityContext:\n      runAsUser: 7\n      runAsNonRoot: false\n"),
			header(7) + "  user \"7:6\" 7:6 (10:18 7)\n",
		},
		"pod's": {
			pod("  securityContext: {runAsUser: 0, runAsNonRoot: true}\n", "    securityContext: {}\n"),
			header(7) + "  user \"0\" 0:0 (5:32 0)\n  nonroot (5:49 true)\n",
		},
		"octal": {pod("  securityContext: {runAsUser: 0o17}\n", ""), header(7) + "  user \"15\" 15:unknown (5:32 0o17)\n"},
		"group only": {
			pod("  securityContext: {runAsGroup: 9}\n", ""), header(7) + fmt.Sprintf("  user \"\" unknown:9 (8:12 a)%s\n", notLooked),
		},
		"commands": {
			pod("", "    command: [sh, -c, \"exec gosu app x\"]\n    args: [z]\n    securityContext: {runAsUser: 0}\n"),
			header(6) + "  user \"0\" 0:0 (10:34 0)\n  command [\"sh\" \"-c\" \"exec gosu app x\" \"z\"] shell=true (8:14 [sh, -c, \"exec gosu app x\"])\n",
		},
		"args": {pod("", "    args:\n    - cron\n    command: []\n"), header(6) + unknownUser(7) + "  command [\"cron\"] shell=false (9:5 - cron)\n"},
		"ports and variables": {
			pod("", "    ports:\n    - containerPort: 80\n      hostPort: 81\n    - {containerPort: 53, protocol: UDP}\n    env:\n    - name: A\n      value: b\n    - {name: C, valueFrom: {fieldRef: {fieldPath: x}}}\n    - name: D\n"),
			header(6) + unknownUser(7) + "  port 80/tcp (9:22 80)\n  port 53/udp (11:23 53)\n  variable A=b (14:14 b)\n",
		},
		"security context": {
			pod("", `    securityContext:
      privileged: yes
      allowPrivilegeEscalation: true
      capabilities:
        add: [NET_RAW, cap_sys_admin]
        drop:
        - all
      readOnlyRootFilesystem: true
      procMount: Unmasked
      seccompProfile: {type: Unconfined}
      appArmorProfile:
        type: Unconfined
      seLinuxOptions: {type: spc_t}
`),
			header(6) + unknownUser(7) + `  privileged true (9:19 yes)
  escalation true (10:33 true)
  capability NET_RAW (12:15 NET_RAW)
  capability SYS_ADMIN (12:24 cap_sys_admin)
  dropped ALL (14:11 all)
  read-only true (15:31 true)
  unconfined systempaths (16:18 Unmasked)
  unconfined seccomp (17:30 Unconfined)
  unconfined apparmor (19:15 Unconfined)
  unconfined label (20:30 spc_t)
`,
		},
		"no escalation": {pod("", "    securityContext: {allowPrivilegeEscalation: false, privileged: false}\n"), header(6) + unknownUser(7) + "  no-new-privs true (8:49 false)\n"},
		"the host's": {
			pod("  hostPID: true\n  hostNetwork: true\n  hostIPC: true\n  hostUsers: true\n  securityContext:\n    sysctls:\n    - {name: net.core.somaxconn, value: \"1\"}\n    seccompProfile: {type: Unconfined}\n", ""),
			header(14) + unknownUser(15) + "  namespace pid (5:12 true)\n  namespace network (6:16 true)\n  namespace ipc (7:12 true)\n  namespace user (8:14 true)\n" +
				"  sysctl net.core.somaxconn=1 (11:14 net.core.somaxconn)\n  unconfined seccomp (12:28 Unconfined)\n",
		},
		"own profile before the pod's": {
			pod("  securityContext:\n    seccompProfile: {type: Unconfined}\n    appArmorProfile: {type: Unconfined}\n", "    securityContext: {seccompProfile: {type: RuntimeDefault}, appArmorProfile: {type: RuntimeDefault}}\n"),
			header(9) + unknownUser(10),
		},
		"mounts": {
			pod("  volumes:\n  - {name: s, hostPath: {path: /var/run/docker.sock}}\n  - name: d\n    hostPath:\n      path: /data\n  - name: e\n    emptyDir: {}\n  - {name: o, hostPath: {path: /}}\n  - {name: k, hostPath: {path: /dev/kmsg, type: CharDevice}}\n",
				"    volumeMounts:\n    - {name: s, mountPath: /s}\n    - {name: d, mountPath: /d, readOnly: true, subPath: a/../b}\n    - {name: e, mountPath: /e}\n    - {name: k, mountPath: /k}\n"),
			header(15) + unknownUser(16) + "  mount /var/run/docker.sock (6:32 /var/run/docker.sock)\n  mount-ro /data/b (9:13 /data)\n  device /dev/kmsg (13:32 /dev/kmsg)\n",
		},
		"old annotations": {
			strings.Replace(pod("", ""), "{name: p}", "{name: p, annotations: {seccomp.security.alpha.kubernetes.io/pod: unconfined, container.apparmor.security.beta.kubernetes.io/c: unconfined}}", 1),
			header(6) + unknownUser(7) + "  unconfined seccomp (3:77 unconfined)\n  unconfined apparmor (3:139 unconfined)\n",
		},
		"all kinds of containers": {
			"apiVersion: v1\nkind: Pod\nmetadata: {generateName: p-}\nspec:\n  initContainers:\n  - {image: a, name: i, securityContext: {runAsUser: 1}}\n  containers:\n  - image: a\n    securityContext: {runAsUser: 2}\n  ephemeralContainers:\n  - name: e\n    securityContext: {runAsUser: 3}\n",
			"Pod p-, container 1 (8:5 image: a)\n  user \"2\" 2:unknown (9:34 2)\nPod p-, init container i (6:6 image: a)\n  user \"1\" 1:unknown (6:54 1)\nPod p-, ephemeral container e (11:5 name: e)\n  user \"3\" 3:unknown (12:34 3)\n",
		},
		"windows": {
			pod("  os: {name: windows}\n  hostNetwork: true\n", "    env: [{name: A, value: b}]\n    securityContext: {privileged: true}\n"),
			header(8) + "  user \"\" 1 to 2147483647:1 to 2147483647 (9:12 a)\n  variable A=b (10:28 b)\n",
		},
		"anchors, aliases and merge keys": {
			pod("", "    securityContext: &s\n      privileged: &yes true\n      <<: &more {runAsUser: 0}\n  - name: d\n    image: a\n    securityContext: *s\n  - name: e\n    image: a\n    securityContext: {<<: *more, allowPrivilegeEscalation: *yes}\n"),
			header(6) + "  user \"0\" 0:0 (10:29 0)\n  privileged true (9:24 true)\n" +
				"Pod p, container d (11:5 name: d)\n  user \"0\" 0:0 (10:29 0)\n  privileged true (9:24 true)\n" +
				"Pod p, container e (14:5 name: e)\n  user \"0\" 0:0 (10:29 0)\n  escalation true (9:24 true)\n",
		},
		"the last of the same keys": {pod("  securityContext: {runAsUser: 1, runAsUser: 2}\n", ""), header(7) + "  user \"2\" 2:unknown (5:46 2)\n"},
		"names are case-sensitive":  {pod("  hostpid: true\n  unknown: {}\n", ""), header(8) + unknownUser(9)},
		"carriage returns": {
			strings.ReplaceAll(pod("  securityContext:\n    runAsUser: 0\n", ""), "\n", "\r\n"), header(8) + "  user \"0\" 0:0 (6:16 0)\n",
		},
		"JSON with tabs": {
			"{\n\t\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"p\"},\n\t\"spec\": {\"containers\": [\n\t\t{\"name\": \"c\", \"image\": \"a\", \"securityContext\": {\"runAsUser\": 0}}]}}\n",
			"Pod p, container c (4:4 \"name\": \"c\")\n  user \"0\" 0:0 (4:64 0)\n",
		},
		"image of a template": {
			strings.Replace(pod("", ""), "image: a", `image: "{{ .Values.image }}"`, 1),
			header(6) + "  user \"\" unknown:unknown (7:12 \"{{ .Values.image }}\") image {{ .Values.image }} is a template\n",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			for _, s := range load(t, tt.source) {
				got.WriteString(describe(tt.source, s))
			}
			if diff := cmp.Diff(tt.want, got.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWorkloads(t *testing.T) {
	template := "{spec: {containers: [{name: c, image: a}]}}"
	object := func(version, kind, rest string) string {
		return "apiVersion: " + version + "\nkind: " + kind + "\nmetadata: {name: o}\n" + rest + "\n"
	}
	ordinary := func(version, kind string) string { return object(version, kind, "spec: {template: "+template+"}") }
	tests := map[string]struct {
		source string
		want   []string
	}{
		"Deployment":            {ordinary("apps/v1", "Deployment"), []string{"4 Deployment o, container c"}},
		"old Deployment":        {ordinary("extensions/v1beta1", "Deployment"), []string{"4 Deployment o, container c"}},
		"ReplicaSet":            {ordinary("apps/v1", "ReplicaSet"), []string{"4 ReplicaSet o, container c"}},
		"StatefulSet":           {ordinary("apps/v1", "StatefulSet"), []string{"4 StatefulSet o, container c"}},
		"DaemonSet":             {ordinary("apps/v1", "DaemonSet"), []string{"4 DaemonSet o, container c"}},
		"ReplicationController": {ordinary("v1", "ReplicationController"), []string{"4 ReplicationController o, container c"}},
		"Job":                   {ordinary("batch/v1", "Job"), []string{"4 Job o, container c"}},
		"CronJob":               {object("batch/v1", "CronJob", "spec: {jobTemplate: {spec: {template: "+template+"}}}"), []string{"4 CronJob o, container c"}},
		"PodTemplate":           {object("v1", "PodTemplate", "template: "+template), []string{"4 PodTemplate o, container c"}},
		"not of that group":     {ordinary("v1", "Deployment"), nil},
		"Service":               {object("v1", "Service", "spec: {ports: [{port: 80}]}"), nil},
		"ConfigMap with a pod":  {object("v1", "ConfigMap", "data:\n  x: |\n    kind: Pod"), nil},
		"somebody's own":        {ordinary("argoproj.io/v1alpha1", "Rollout"), []string{"4 Rollout o, container c"}},
		"deep in somebody's own": {
			object("kubeflow.org/v1", "TFJob", "spec: {tfReplicaSpecs: {Worker: {replicas: 2, template: "+template+"}, PS: {template: "+template+"}}}"),
			[]string{"4 TFJob o, container c", "4 TFJob o, container c"},
		},
		"somebody's own, of k8s.io":   {ordinary("jobset.x-k8s.io/v1", "JobSet"), []string{"4 JobSet o, container c"}},
		"almost a pod template":       {object("serving.knative.dev/v1", "Service", "spec: {template: {spec: {containerConcurrency: 1, containers: [{name: c, image: a}]}}}"), nil},
		"containers without an image": {object("x.example.com/v1", "Thing", "spec: {template: {spec: {containers: [{name: c}]}}}"), nil},
		"List": {
			"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  spec: {containers: [{name: a}]}\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: d}\n  spec:\n    template: " + template + "\n",
			[]string{"6 Pod, container a", "11 Deployment d, container c"},
		},
		"typed list": {
			"apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- metadata: {name: d}\n  spec: {template: " + template + "}\n", []string{"5 Deployment d, container c"},
		},
		"list in a list": {
			"apiVersion: v1\nkind: List\nitems:\n- kind: List\n  items:\n  - {apiVersion: v1, kind: Pod, spec: {containers: [{name: a}]}}\n", []string{"6 Pod, container a"},
		},
		"Helm's output": {
			"---\n# Source: x/templates/a.yaml\n---\n# Source: x/templates/b.yaml\napiVersion: v1\nkind: Service\n---\n# Source: x/templates/c.yaml\n" + ordinary("apps/v1", "Deployment") + "---\n\n---\n" + ordinary("batch/v1", "Job"),
			[]string{"12 Deployment o, container c", "19 Job o, container c"},
		},
		"no object":            {"- 1\n--- a\n---\n{}\n", nil},
		"no template":          {object("apps/v1", "Deployment", "spec: {}"), nil},
		"null containers":      {object("v1", "Pod", "spec: {containers: }"), nil},
		"a stream of JSON":     {`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a"}]}}` + "\n" + `{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"b"}]}}`, []string{"1 Pod, container a", "2 Pod, container b"}},
		"one pod, many places": {"apiVersion: v1\nkind: List\nitems: [&p {apiVersion: v1, kind: Pod, spec: {containers: [{name: a}]}}, *p]\n", []string{"3 Pod, container a", "3 Pod, container a"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, s := range load(t, tt.source) {
				got = append(got, fmt.Sprintf("%d %s", s.Where.Line, s.Name))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSyntaxErrors(t *testing.T) {
	good := "---\n" + pod("", "")
	tests := map[string]struct {
		source   string
		want     string
		subjects int
	}{
		"string for a boolean":  {pod("", "    securityContext:\n      privileged: \"true\"\n"), `line 9: privileged must be true or false, not "true"`, 0},
		"string for a number":   {pod("  securityContext: {runAsUser: \"0\"}\n", ""), `line 5: runAsUser must be a number, not "0"`, 0},
		"number for a string":   {pod("", "    env:\n    - name: A\n      value: 1\n"), `line 10: value must be a string, not 1`, 0},
		"a word of YAML 1.1":    {pod("", "    env: [{name: A, value: yes}]\n"), `line 8: value must be a string, not yes`, 0},
		"mapping for a list":    {"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    name: c\n", `line 5: containers must be a list, not a mapping`, 0},
		"value for a mapping":   {pod("", "    securityContext: true\n"), `line 8: securityContext must be a mapping, not true`, 0},
		"quantity":              {pod("", "    resources:\n      limits:\n        memory: lots\n"), `line 10: memory: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'`, 0},
		"template":              {"apiVersion: v1\nkind: Pod\n{{- if .Values.x }}\nspec: 1\n{{- end }}\n", "line 3: could not find expected ':': a Helm template is no manifest yet, pipe what `helm template` makes of it into deckhand check -", 0},
		"template that is YAML": {pod("  hostPID: {{ .Values.pid }}\n", ""), "line 5: hostPID must be true or false, not a mapping: a Helm template is no manifest yet, pipe what `helm template` makes of it into deckhand check -", 0},
		"one of two documents":  {pod("", "   x: [\n") + good, "line 8: did not find expected key", 1},
		"wrong in one of two":   {pod("  hostPID: 1\n", "") + good, "line 5: hostPID must be true or false, not 1", 1},
		"tab":                   {"apiVersion: v1\nkind: Pod\nspec:\n\tx: 1\n", "line 4: found character that cannot start any token", 0},
		"alias bomb":            {"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - env: &a [{name: a}]\n    x: &b [*a,*a,*a,*a,*a,*a,*a,*a]\n    y: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n    z: &d [*c,*c,*c,*c,*c,*c,*c,*c]\n    u: &e [*d,*d,*d,*d,*d,*d,*d,*d]\n    v: &f [*e,*e,*e,*e,*e,*e,*e,*e]\n    w: [*f,*f,*f,*f,*f,*f,*f,*f]\n", "line 1: aliases make it too large, or it is nested too deeply", 0},
		"lists of lists":        {"apiVersion: v1\nkind: List\nitems: &a\n- {kind: List, items: *a}\n", "line 4: lists are nested too deeply, or hold too much", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			subjects, err := kube.Load(t.Context(), guard.Source{Path: "f", Data: []byte(tt.source)}, guard.Env{})
			var syntax *guard.SyntaxError
			if !errors.As(err, &syntax) || syntax.Error() != tt.want || len(subjects) != tt.subjects {
				t.Errorf("%d subjects, %v; want %d, %s", len(subjects), err, tt.subjects, tt.want)
			}
		})
	}
}

func TestViolations(t *testing.T) {
	// restricted is a container that passes the restricted level.
	const restricted = "    securityContext: {allowPrivilegeEscalation: false, runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}, capabilities: {drop: [ALL]}}\n"
	tests := map[string]struct{ source, want string }{
		"none": {pod("", restricted), ""},
		"nothing said": {pod("", ""), `restricted allowPrivilegeEscalation != false: container "c" must set securityContext.allowPrivilegeEscalation=false (6:5 name: c)
restricted unrestricted capabilities: container "c" must set securityContext.capabilities.drop=["ALL"] (6:5 name: c)
restricted runAsNonRoot != true: pod or container "c" must set securityContext.runAsNonRoot=true (6:5 name: c)
restricted seccompProfile: pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost" (6:5 name: c)
`},
		"each where it is": {
			pod("", "    ports: [{containerPort: 1, hostPort: 2}]\n    livenessProbe: {httpGet: {host: h, port: 1}}\n    securityContext:\n      privileged: true\n      allowPrivilegeEscalation: true\n      runAsNonRoot: false\n      runAsUser: 0\n      procMount: Unmasked\n      capabilities: {add: [CHOWN, SYS_ADMIN, NET_BIND_SERVICE], drop: [X]}\n      seccompProfile: {type: Unconfined}\n      appArmorProfile: {type: Unconfined}\n      seLinuxOptions: {user: x}\n"),
			`baseline forbidden AppArmor profile: container "c" must not set AppArmor profile type to "Unconfined" (18:31 Unconfined)
baseline non-default capabilities: container "c" must not include "SYS_ADMIN" in securityContext.capabilities.add (16:35 SYS_ADMIN)
baseline hostPort: container "c" uses hostPort 2 (8:42 2)
baseline probe or lifecycle host: container "c" uses probe or lifecycle host "h" (9:37 h)
baseline privileged: container "c" must not set securityContext.privileged=true (11:19 true)
baseline procMount: container "c" must not set securityContext.procMount to "Unmasked" (15:18 Unmasked)
baseline seLinuxOptions: container "c" set forbidden securityContext.seLinuxOptions: user may not be set (19:23 {user: x})
baseline seccompProfile: container "c" must not set securityContext.seccompProfile.type to "Unconfined" (17:30 Unconfined)
restricted allowPrivilegeEscalation != false: container "c" must set securityContext.allowPrivilegeEscalation=false (12:33 true)
restricted unrestricted capabilities: container "c" must set securityContext.capabilities.drop=["ALL"]; container "c" must not include "CHOWN" in securityContext.capabilities.add (16:71 [X])
restricted runAsNonRoot != true: container "c" must not set securityContext.runAsNonRoot=false (13:21 false)
restricted runAsUser=0: container "c" must not set runAsUser=0 (14:18 0)
`,
		},
		"the pod's, once": {
			pod("  hostPID: true\n  hostNetwork: true\n  securityContext:\n    runAsNonRoot: false\n    runAsUser: 0\n    sysctls: [{name: kernel.x, value: \"1\"}, {name: kernel.shm_rmid_forced, value: \"1\"}]\n  volumes:\n  - {name: a, hostPath: {path: /x}}\n  - {name: b, nfs: {server: s, path: /}}\n  - {name: c}\n",
				strings.Replace(restricted, "runAsNonRoot: true, ", "", 1)+"  - name: d\n    image: a\n"+strings.Replace(restricted, "runAsNonRoot: true", "runAsNonRoot: false", 1)),
			`restricted runAsNonRoot != true: pod must not set securityContext.runAsNonRoot=false (8:19 false)
restricted runAsUser=0: pod must not set runAsUser=0 (9:16 0)
baseline host namespaces: hostNetwork=true (6:16 true)
baseline host namespaces: hostPID=true (5:12 true)
baseline hostPath volumes: volume "a" (12:32 /x)
restricted restricted volume types: volume "b" uses restricted volume type "nfs" (13:20 {server: s, path: /})
baseline forbidden sysctls: kernel.x (10:22 kernel.x)
restricted runAsNonRoot != true: container "d" must not set securityContext.runAsNonRoot=false (21:70 false)
`,
		},
		"annotation": {
			strings.Replace(pod("", restricted), "{name: p}", "\n  name: p\n  annotations:\n    container.apparmor.security.beta.kubernetes.io/c: unconfined", 1),
			`baseline forbidden AppArmor profile: annotation must not set AppArmor profile type to "container.apparmor.security.beta.kubernetes.io/c="unconfined"" (6:55 unconfined)` + "\n",
		},
		"user namespace": {pod("  hostUsers: false\n", strings.Replace(restricted, "runAsNonRoot: true, ", "runAsUser: 0, ", 1)), ""},
		"added in the restricted level": {
			pod("", strings.Replace(restricted, "{drop", "{add: [NET_BIND_SERVICE, CHOWN], drop", 1)),
			`restricted unrestricted capabilities: container "c" must not include "CHOWN" in securityContext.capabilities.add (8:155 CHOWN)` + "\n",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			for _, s := range load(t, tt.source) {
				for _, v := range s.Violations {
					fmt.Fprintf(&got, "%s %s: %s (%s)\n", v.Level, v.Reason, v.Detail, at(tt.source, v.Where))
				}
			}
			if diff := cmp.Diff(tt.want, got.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestUserSlot puts a uid where the slot is, and expects the container to run as it.
func TestUserSlot(t *testing.T) {
	tests := map[string]struct{ source, want string }{
		"replaced":           {pod("", "    securityContext: {runAsUser: 0}\n"), "    securityContext: {runAsUser: 4711}\n"},
		"in a context":       {pod("", "    securityContext:\n      privileged: true\n"), "    securityContext:\n      runAsUser: 4711\n      privileged: true\n"},
		"with a new context": {pod("", ""), "  - name: c\n    securityContext:\n      runAsUser: 4711\n    image: a\n"},
		"over the pod's":     {pod("  securityContext: {runAsUser: 0}\n", ""), "  - name: c\n    securityContext:\n      runAsUser: 4711\n    image: a\n"},
		"only a name":        {"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: c\n", "  - securityContext:\n      runAsUser: 4711\n    name: c\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			slot := load(t, tt.source)[0].UserSlot
			if slot == nil {
				t.Fatal("no slot")
			}
			fixed, err := guard.Apply([]byte(tt.source), []guard.Edit{slot.Put("4711")})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(string(fixed), tt.want) {
				t.Errorf("%s; want the end %s", fixed, tt.want)
			}
			if got := load(t, string(fixed))[0].User; got.Spec != "4711" {
				t.Errorf("then it runs as %+v", got)
			}
		})
	}
	for name, source := range map[string]string{
		"flow":   pod("", "    securityContext: {privileged: true}\n"),
		"shared": pod("", "    securityContext: &x {runAsUser: 0}\n  - {name: d, securityContext: *x}\n"),
	} {
		subjects := load(t, source)
		if slot := subjects[len(subjects)-1].UserSlot; slot != nil {
			t.Errorf("%s: slot %+v", name, slot)
		}
	}
}

func TestIs(t *testing.T) {
	manifest := "# x\napiVersion: v1\nkind: Pod\n"
	tests := map[string]struct {
		name, data string
		want       bool
	}{
		"YAML":                {"a.yaml", manifest, true},
		"yml":                 {"a.YML", manifest, true},
		"stdin":               {"-", manifest, true},
		"JSON":                {"a.json", `{"kind": "Pod", "apiVersion": "v1"}`, true},
		"template":            {"a.yaml", "{{- if .x }}\n" + manifest, true},
		"other name":          {"a.txt", manifest, false},
		"compose":             {"compose.yaml", "services:\n", false},
		"nested":              {"a.yaml", "x:\n  apiVersion: v1\n  kind: Pod\n", false},
		"other JSON":          {"package.json", `{"name": "x"}`, false},
		"kind only":           {"a.yaml", "kind: x\n", false},
		"nothing":             {"a.yaml", "", false},
		"quoted keys":         {"a.yaml", "\"apiVersion\": \"v1\"\n\"kind\" : \"Pod\"\n", true}, // as jsonnet writes them
		"single quotes":       {"a.yaml", "'apiVersion': v1\n'kind': Pod\n", true},
		"stream of JSON":      {"a.yaml", "---\n{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"Pod\"\n}\n...\n", true},
		"JSON behind a mark":  {"a.yaml", "# x\n--- {\"apiVersion\": \"v1\", \"kind\": \"Pod\"}\n", true},
		"flow":                {"a.yaml", "{apiVersion: v1, kind: Pod}\n", true},
		"schema":              {"swagger.json", `{"properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}}`, false},
		"schema with example": {"swagger.json", `{"apiVersion": [], "x": {"kind": "Pod"}}`, false},
		"longer key":          {"a.yaml", "apiVersions: v1\nkinds: Pod\n", false},
		"second half":         {"a.yaml", "---\nkind: Pod\r\napiVersion: v1\r\n", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := kube.Is(tt.name, []byte(tt.data)); got != tt.want {
				t.Errorf("Is = %v", got)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := kube.Load(ctx, guard.Source{Data: []byte(pod("", ""))}, guard.Env{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Load = %v", err)
	}
}

func BenchmarkLoad(b *testing.B) {
	source := guard.Source{Data: []byte(pod("  hostPID: true\n", "    securityContext: {runAsUser: 0}\n"))}
	for b.Loop() {
		if _, err := kube.Load(b.Context(), source, guard.Env{}); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for i, x := range fixtures(f) {
		if i%97 == 0 {
			f.Add(x.data)
		}
	}
	f.Add([]byte(pod("", "    securityContext: &x {runAsUser: 0}\n  - {name: d, securityContext: *x}\n")))
	f.Add([]byte("apiVersion: v1\nkind: List\nitems: &a\n- {kind: List, items: *a}\n"))
	f.Add([]byte("apiVersion: x.y/v1\nkind: X\nspec: {template: {spec: {containers: [{name: c, image: a}]}}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		subjects, err := kube.Load(t.Context(), guard.Source{Path: "f", Data: data}, guard.Env{})
		var syntax *guard.SyntaxError
		if err != nil && (!errors.As(err, &syntax) || syntax.Line < 1) {
			t.Fatalf("error %v", err)
		}
		for _, s := range subjects {
			places := []guard.Location{s.Where, s.User.Where, s.ImageAt}
			for _, g := range s.Grants {
				places = append(places, g.Where)
			}
			for _, v := range s.Violations {
				places = append(places, v.Where)
			}
			for _, l := range places {
				if _, ok := guard.Offset(data, l.Line, l.Column); !ok {
					t.Fatalf("%s: no place: %+v", s.Name, l)
				}
			}
			if s.UserSlot != nil {
				if _, err := guard.Apply(data, []guard.Edit{s.UserSlot.Put("1")}); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
